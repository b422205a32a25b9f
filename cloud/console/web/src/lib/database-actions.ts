/** What can be done to a database, and why not when it cannot. */

import { useMutation } from '@tanstack/react-query'
import { databaseQuery, databases, databasesQuery, type Database } from '../api/databases'
import { queries } from '../api/queries'
import { toast } from '../ui/toast'

/** Why the engine cannot be asked anything now; undefined when it can. */
export const askBlocked = (database: Database): string | undefined => {
  if (database.phase === 'stopped') return 'The database is stopped. Start it first'
  if (database.phase === 'deleting') return 'The database is being deleted'
  if (database.replicas.ready === 0) return 'No replica is ready yet'
  return undefined
}

/** Why its shape cannot be changed now. */
export const changeBlocked = (database: Database): string | undefined => {
  if (database.phase === 'stopped') return 'The database is stopped. Start it first'
  return database.phase === 'deleting' ? 'The database is being deleted' : undefined
}

/** Why no other replica can take over now. */
export const switchBlocked = (database: Database): string | undefined => {
  const blocked = askBlocked(database)
  if (blocked) return blocked
  if (database.replicas.desired < 2) return 'There is only one replica'
  return database.members.some(member => member.role === 'secondary' && member.ready)
    ? undefined
    : 'No other replica is ready'
}

/** Reads the database again, and everything that hangs on it. */
export const refresh = (workspace: string, name: string): void => {
  void queries.invalidateQueries({ queryKey: databaseQuery(workspace, name).queryKey })
  void queries.invalidateQueries({ queryKey: databasesQuery(workspace).queryKey })
}

interface Act {
  verb: string
  /** What is attempted, for the message when it fails: `restart orders`. */
  what: string
  done: string
  body?: unknown
}

export const useDatabaseAct = ({ workspace, name }: Database) =>
  useMutation({
    mutationFn: ({ verb, body }: Act) => databases.act(workspace, name, verb, body),
    onSuccess: (changed, { done }) => {
      queries.setQueryData(databaseQuery(workspace, name).queryKey, changed)
      refresh(workspace, name)
      toast.done(done)
    },
    onError: (error, { what }) => toast.trouble(`Could not ${what}`, error),
  })
