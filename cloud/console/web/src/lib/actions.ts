/** What can be done to an app, and why not when it cannot. */

import { useMutation } from '@tanstack/react-query'
import { api } from '../api/client'
import { appsQuery, draftQuery, queries } from '../api/queries'
import type { App, Phase } from '../api/types'
import { toast } from '../ui/toast'

const gone = (app: App): string | undefined =>
  app.phase === 'deleting' ? 'The app is being deleted' : undefined

/** Why the app cannot be scaled now; undefined when it can. */
export const scaleBlocked = (app: App): string | undefined =>
  app.phase === 'stopped' ? 'The app is stopped. Start it first' : gone(app)

/** Why the app cannot be restarted now. */
export const restartBlocked = (app: App): string | undefined =>
  app.phase === 'stopped' ? 'The app is stopped. Start it instead' : gone(app)

/** Why there is no terminal. */
export const terminalBlocked = (app: App): string | undefined =>
  app.phase === 'stopped' ? 'A stopped app has nothing to open a terminal in' : undefined

type Verb = 'restart' | 'stop' | 'start'

const DONE: Record<Verb, string> = { restart: 'is restarting', stop: 'is stopped', start: 'is starting' }
const SOON: Record<Verb, Phase> = { restart: 'creating', stop: 'stopped', start: 'creating' }

/** Changes the app in the list at once; the live stream brings the truth. */
const guess = (app: App, change: Partial<App>): void => {
  queries.setQueryData(appsQuery(app.workspace).queryKey, apps =>
    apps?.map(other => (other.name === app.name ? { ...other, ...change } : other)),
  )
}

const put = (app: App): void => guess(app, app)

export const useAct = (app: App) =>
  useMutation({
    mutationFn: (verb: Verb) => api[verb](app.workspace, app.name),
    onMutate: verb => guess(app, { phase: SOON[verb], message: '' }),
    onSuccess: (changed, verb) => {
      put(changed)
      toast.done(`${app.name} ${DONE[verb]}`)
    },
    onError: (error, verb) => {
      put(app)
      toast.trouble(`Could not ${verb} ${app.name}`, error)
    },
  })

export const useScale = (app: App) =>
  useMutation({
    mutationFn: (replicas: number) => api.scale(app.workspace, app.name, replicas),
    onMutate: desired => guess(app, { replicas: { ...app.replicas, desired } }),
    onSuccess: changed => {
      put(changed)
      void queries.invalidateQueries({ queryKey: draftQuery(app.workspace, app.name).queryKey })
    },
    onError: error => {
      put(app)
      toast.trouble(`Could not scale ${app.name}`, error)
    },
  })

export const useDelete = (app: App, after: () => void) =>
  useMutation({
    mutationFn: () => api.delete(app.workspace, app.name),
    onSuccess: () => {
      after()
      queries.setQueryData(appsQuery(app.workspace).queryKey, apps =>
        apps?.filter(other => other.name !== app.name),
      )
      toast.done(`${app.name} is deleted`)
    },
    onError: error => toast.trouble(`Could not delete ${app.name}`, error),
  })
