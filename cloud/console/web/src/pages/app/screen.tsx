/** The terminal itself: xterm.js on a socket. Loaded only with its tab. */

import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import '@xterm/xterm/css/xterm.css'
import { useEffect, useEffectEvent, useRef } from 'react'
import { socketUrl } from '../../api/client'
import css from './terminal.module.css'

export type ScreenState = { type: 'connecting' } | { type: 'open' } | { type: 'ended'; why: string }

/** What the server says about the session; the rest is the session's own bytes. */
type Word = { type: 'exit'; code: number } | { type: 'error'; message: string }

const THEME = {
  background: '#0d1b1e',
  foreground: '#d9e6e4',
  cursor: '#5fd3c8',
  cursorAccent: '#0d1b1e',
  selectionBackground: '#2b5f63',
  black: '#16282c',
  red: '#f0816b',
  green: '#6fcf97',
  yellow: '#e9b872',
  blue: '#7aa7e9',
  magenta: '#c79bea',
  cyan: '#5fd3c8',
  white: '#d9e6e4',
  brightBlack: '#5b7478',
  brightRed: '#ff9d8a',
  brightGreen: '#8fe3b0',
  brightYellow: '#f6cd90',
  brightBlue: '#9dc0f7',
  brightMagenta: '#dab8f5',
  brightCyan: '#8ae9df',
  brightWhite: '#f5fbfa',
}

interface Props {
  path: string
  pod: string
  onState: (state: ScreenState) => void
}

export const Screen = ({ path, pod, onState }: Props) => {
  const box = useRef<HTMLDivElement>(null)
  const tell = useEffectEvent(onState)
  useEffect(() => {
    const host = box.current
    if (!host) return undefined
    tell({ type: 'connecting' })
    const terminal = new Terminal({
      cursorBlink: true,
      fontFamily: "'JetBrains Mono', ui-monospace, monospace",
      fontSize: 13,
      lineHeight: 1.25,
      scrollback: 5_000,
      theme: THEME,
    })
    const fit = new FitAddon()
    terminal.loadAddon(fit)
    terminal.open(host)
    fit.fit()
    const size = () => ({ cols: String(terminal.cols), rows: String(terminal.rows) })
    const socket = new WebSocket(socketUrl(path, { pod, ...size() }))
    socket.binaryType = 'arraybuffer'
    let why = 'The connection was lost'
    socket.addEventListener('open', () => {
      tell({ type: 'open' })
      terminal.focus()
    })
    socket.addEventListener('message', (event: MessageEvent<ArrayBuffer | string>) => {
      if (typeof event.data !== 'string') return terminal.write(new Uint8Array(event.data))
      // Text frames carry nothing but these words.
      const word = JSON.parse(event.data) as Word
      why =
        word.type === 'error'
          ? word.message
          : word.code === 0
            ? 'The session has ended'
            : `Ended with exit code ${word.code}`
    })
    socket.addEventListener('close', () => {
      terminal.options.cursorBlink = false
      tell({ type: 'ended', why })
    })
    const bytes = new TextEncoder()
    const send = (data: string | Uint8Array<ArrayBuffer>) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(data)
    }
    terminal.onData(data => send(bytes.encode(data)))
    terminal.onBinary(data => send(Uint8Array.from(data, c => c.codePointAt(0) ?? 0)))
    terminal.onResize(({ cols, rows }) => send(JSON.stringify({ type: 'resize', cols, rows })))
    const observer = new ResizeObserver(() => fit.fit())
    observer.observe(host)
    return () => {
      observer.disconnect()
      socket.close()
      terminal.dispose()
    }
  }, [path, pod])
  return <div ref={box} className={css.screen} />
}
