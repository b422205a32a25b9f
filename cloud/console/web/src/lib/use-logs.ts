/** A log socket of the console, as a store that a page can read. */

import { useEffect, useState, useSyncExternalStore } from 'react'
import { socketUrl } from '../api/client'
import type { LogMessage } from '../api/types'
import { LogStore, type View } from './log-store'

const RETRY_MS = 2_000

/** Follows the log while the page shows it. A new address is a new, empty log. */
export const useLogs = (path: string, query: Record<string, string>): { view: View; clear: () => void } => {
  const url = socketUrl(path, query)
  const [current, setCurrent] = useState<{ url: string; store: LogStore }>()
  const [store] = useState(() => new LogStore(draw => setTimeout(draw, 60)))
  useEffect(() => {
    const fresh = new LogStore(draw => setTimeout(draw, 60))
    setCurrent({ url, store: fresh })
    let socket: WebSocket | undefined
    let retry: ReturnType<typeof setTimeout> | undefined
    let closed = false
    const open = () => {
      socket = new WebSocket(url)
      socket.addEventListener('message', (event: MessageEvent<string>) => {
        // The socket carries nothing but these messages.
        fresh.receive(JSON.parse(event.data) as LogMessage)
      })
      socket.addEventListener('close', () => {
        if (closed || fresh.view().state === 'ended') return
        fresh.lost()
        retry = setTimeout(() => {
          // The server sends the tail again: start over rather than show it twice.
          fresh.clear()
          open()
        }, RETRY_MS)
      })
    }
    open()
    return () => {
      closed = true
      clearTimeout(retry)
      socket?.close()
    }
  }, [url])
  const shown = current?.url === url ? current.store : store
  const view = useSyncExternalStore(shown.subscribe, shown.view)
  return { view, clear: () => shown.clear() }
}
