/**
 * The live stream of a workspace, poured into the query cache.
 *
 * A hidden tab gives its connection back: browsers allow only six per host on HTTP/1.1, and six
 * forgotten tabs would otherwise leave the seventh waiting forever.
 */

import { useEffect, useState } from 'react'
import { appsQuery, queries } from './queries'
import type { App, Live } from './types'

export type LiveState = 'connecting' | 'live' | 'lost'

const byName = (a: App, b: App) => a.name.localeCompare(b.name)

/** What a message changes in the cache. */
export const receive = (workspace: string, message: Live): void => {
  const { queryKey } = appsQuery(workspace)
  switch (message.type) {
    case 'apps':
      queries.setQueryData(queryKey, message.apps.toSorted(byName))
      return
    case 'app':
      queries.setQueryData(queryKey, (apps = []) =>
        [...apps.filter(app => app.name !== message.app.name), message.app].toSorted(byName),
      )
      return
    case 'gone':
      queries.setQueryData(queryKey, (apps = []) => apps.filter(app => app.name !== message.name))
      return
  }
}

/** Follows the workspace while the page is visible. */
export const useLive = (workspace: string): LiveState => {
  const [state, setState] = useState<LiveState>('connecting')
  useEffect(() => {
    let source: EventSource | undefined
    let retry: ReturnType<typeof setTimeout> | undefined
    const close = () => {
      clearTimeout(retry)
      source?.close()
      source = undefined
    }
    const open = () => {
      close()
      source = new EventSource(`/api/v1/workspaces/${encodeURIComponent(workspace)}/stream`)
      source.addEventListener('open', () => setState('live'))
      source.addEventListener('message', (event: MessageEvent<string>) => {
        // The stream carries nothing but these messages.
        receive(workspace, JSON.parse(event.data) as Live)
      })
      source.addEventListener('error', () => {
        setState('lost')
        // The browser gives up for good after a refusal; an unanswered connection it retries itself.
        if (source?.readyState === EventSource.CLOSED) retry = setTimeout(open, 3_000)
        void queries.invalidateQueries({ queryKey: ['session'] })
      })
    }
    const follow = () => (document.hidden ? close() : open())
    follow()
    document.addEventListener('visibilitychange', follow)
    return () => {
      document.removeEventListener('visibilitychange', follow)
      close()
    }
  }, [workspace])
  return state
}
