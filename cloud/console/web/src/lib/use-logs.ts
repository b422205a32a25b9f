/** A log socket of the console, as a store that a page can read. */

import { useEffect, useState, useSyncExternalStore } from 'react'
import type { LogMessage } from '../api/types'
import { LogStore, type View } from './log-store'

const RETRY_MS = 2_000
const DRAW_MS = 60

/** Follows the log while the page shows it. Another address needs another component: give it a key. */
export const useLogs = (url: string): { view: View; clear: () => void } => {
  const [store] = useState(() => new LogStore(draw => setTimeout(draw, DRAW_MS)))
  useEffect(() => {
    let socket: WebSocket | undefined
    let retry: ReturnType<typeof setTimeout> | undefined
    let closed = false
    const open = () => {
      socket = new WebSocket(url)
      socket.addEventListener('message', (event: MessageEvent<string>) => {
        // The socket carries nothing but these messages.
        if (!closed) store.receive(JSON.parse(event.data) as LogMessage)
      })
      socket.addEventListener('close', () => {
        if (closed || store.view().state === 'ended') return
        store.lost()
        retry = setTimeout(() => {
          // The server sends the tail again: start over rather than show it twice.
          store.clear()
          open()
        }, RETRY_MS)
      })
    }
    open()
    return () => {
      closed = true
      clearTimeout(retry)
      socket?.close()
      store.clear()
    }
  }, [url, store])
  return { view: useSyncExternalStore(store.subscribe, store.view), clear: () => store.clear() }
}
