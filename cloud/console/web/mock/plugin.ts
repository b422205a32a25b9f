/** Serves the mock from the Vite dev server: JSON, the live stream, logs and a toy terminal. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Plugin } from 'vite'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Live, LogMessage } from '../src/api/types'
import { answer } from './routes.ts'
import { World } from './world.ts'

const PREFIX = '/api/v1'

const readBytes = async (request: IncomingMessage): Promise<Buffer<ArrayBuffer>> => {
  const chunks: Buffer[] = []
  // Requests of the HTTP module come as buffers.
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const readBody = async (request: IncomingMessage): Promise<unknown> => {
  const text = String(await readBytes(request))
  return text ? JSON.parse(text) : undefined
}

/** What an object holds: neither sent nor received as JSON. */
const content = async (world: World, url: URL, request: IncomingMessage, response: ServerResponse) => {
  const bucket = url.pathname.split('/').at(-2) ?? ''
  const key = url.searchParams.get('key') ?? ''
  if (request.method === 'PUT') {
    const type = request.headers['content-type'] ?? 'application/octet-stream'
    const { status, body } = world.buckets.put(bucket, key, type, new Uint8Array(await readBytes(request)))
    response.writeHead(status, { 'Content-Type': 'application/json' })
    return response.end(body === undefined ? undefined : JSON.stringify(body))
  }
  const found = world.buckets.content(bucket, key)
  response.writeHead(found ? 200 : 404, {
    'Content-Type': found?.type ?? 'text/plain',
    ...(url.searchParams.get('how') === 'inline' ? {} : { 'Content-Disposition': 'attachment' }),
  })
  return response.end(found?.body)
}

const stream = (world: World, response: ServerResponse): void => {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  const send = () => {
    const apps = world.apps()
    const message: Live = { type: 'apps', apps }
    response.write(`data: ${JSON.stringify(message)}\n\n`)
  }
  send()
  const unsubscribe = world.subscribe(send)
  response.on('close', unsubscribe)
}

const PATHS = [
  '/',
  '/cart',
  '/api/products?page=2',
  '/checkout',
  '/assets/app.css',
  '/healthz',
  '/api/orders/1174',
]
const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(Math.random() * items.length)]

const line = (): string => {
  const roll = Math.random()
  if (roll < 0.03)
    return `ERROR checkout: payment provider timed out after 3000ms order=${Math.floor(roll * 99_999)}`
  if (roll < 0.09)
    return `WARN  slow query: ${Math.floor(300 + roll * 9000)}ms SELECT * FROM products WHERE …`
  return `INFO  GET ${pick(PATHS)} 200 ${Math.floor(2 + Math.random() * 40)}ms`
}

const logs = (world: World, socket: WebSocket, app: string, only: string | null): void => {
  const own = world.pods(app).map(pod => pod.name)
  const pods = own.length > 0 ? own : world.databases.pods(app)
  const from = only ? pods.filter(pod => pod === only) : pods
  const send = (message: LogMessage) => socket.send(JSON.stringify(message))
  const lines = (count: number, spread: number) =>
    Array.from({ length: from.length > 0 ? count : 0 }, (_, i) => ({
      pod: pick(from) ?? '',
      at: new Date(world.now() - (count - i) * spread).toISOString(),
      text: line(),
    }))
  send({ type: 'pods', pods })
  send({ type: 'lines', lines: lines(180, 700) })
  const timer = setInterval(
    () => send({ type: 'lines', lines: lines(1 + Math.floor(Math.random() * 3), 10) }),
    600,
  )
  socket.on('close', () => clearInterval(timer))
}

const terminal = (socket: WebSocket, pod: string): void => {
  const prompt = `\r\n\u001B[1;36m${pod}\u001B[0m:/app# `
  let typed = ''
  socket.send(Buffer.from(prompt.trimStart()))
  socket.on('message', (data, binary) => {
    if (!binary) return
    for (const c of String(data)) {
      if (c === '\r') {
        const output =
          typed === ''
            ? ''
            : typed === 'ls'
              ? '\r\nbin  etc  main.js  package.json'
              : `\r\nsh: ${typed}: not found`
        if (typed === 'exit') return (socket.send(JSON.stringify({ type: 'exit', code: 0 })), socket.close())
        socket.send(Buffer.from(output + prompt))
        typed = ''
      } else if (c === '\u007F') {
        if (typed) socket.send(Buffer.from('\b \b'))
        typed = typed.slice(0, -1)
      } else {
        typed += c
        socket.send(Buffer.from(c))
      }
    }
  })
}

export const mock = (): Plugin => ({
  name: 'sealos-mock',
  apply: 'serve',
  configureServer(server) {
    const world = new World()
    const sockets = new WebSocketServer({ noServer: true })
    server.httpServer?.on('upgrade', (request: IncomingMessage, socket, head) => {
      const url = new URL(request.url ?? '/', 'http://mock')
      if (!url.pathname.startsWith(PREFIX)) return
      sockets.handleUpgrade(request, socket, head, ws => {
        const app = url.pathname.split('/')[6] ?? ''
        const pod = url.searchParams.get('pod')
        if (url.pathname.endsWith('/logs')) logs(world, ws, app, pod)
        else terminal(ws, pod ?? app)
      })
    })
    server.middlewares.use((request, response, next) => {
      const url = new URL(request.url ?? '/', 'http://mock')
      if (!url.pathname.startsWith(PREFIX)) return next()
      const path = url.pathname.slice(PREFIX.length)
      if (path.endsWith('/stream')) return stream(world, response)
      if (path.endsWith('/content')) return void content(world, url, request, response)
      void readBody(request).then(body => {
        const { status, body: data } = answer(world, request.method ?? 'GET', `${path}${url.search}`, body)
        response.writeHead(status, { 'Content-Type': 'application/json' })
        response.end(data === undefined ? undefined : JSON.stringify(data))
      })
    })
  },
})
