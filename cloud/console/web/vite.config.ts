import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'
import { mock } from './mock/plugin'

/** Where the dev server finds a running console; without it the mock answers. */
const upstream = process.env['SEALOS_CONSOLE']

export default defineConfig({
  plugins: upstream ? [react()] : [react(), mock()],
  build: {
    target: 'es2022',
    outDir: process.env['SEALOS_WEB_OUT'] ?? 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 400,
  },
  server: upstream
    ? { proxy: { '/api': { target: upstream, ws: true }, '/login': upstream, '/k8s': upstream } }
    : {},
  test: { environment: 'jsdom', include: ['src/**/*.test.{ts,tsx}', 'mock/**/*.test.ts'] },
})
