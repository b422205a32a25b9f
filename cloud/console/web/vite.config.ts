import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'
import { mock } from './mock/plugin.ts'

/** Puts a compressed copy beside every text, for the server to hand out as it is. */
const zipped = (): Plugin => ({
  name: 'sealos-gzip',
  apply: 'build',
  writeBundle({ dir = '' }) {
    const files = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    for (const file of files.filter(name => /\.(?:js|css|html|svg)$/.test(name)))
      writeFileSync(join(dir, `${file}.gz`), gzipSync(readFileSync(join(dir, file)), { level: 9 }))
  },
})

/** Where the dev server finds a running console; without it the mock answers. */
const upstream = process.env['SEALOS_CONSOLE']

export default defineConfig({
  plugins: upstream ? [react(), zipped()] : [react(), zipped(), mock()],
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
  test: {
    environment: 'jsdom',
    testTimeout: 20_000,
    include: ['src/**/*.test.{ts,tsx}', 'mock/**/*.test.ts'],
  },
})
