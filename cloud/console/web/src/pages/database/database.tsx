/** One database: its head, its tabs, and what the chosen tab shows. */

import { useQuery } from '@tanstack/react-query'
import { Play, RotateCw, Square } from 'lucide-react'
import { Link, NavLink, Outlet, useNavigate, useOutletContext, useParams } from 'react-router'
import { ApiError } from '../../api/client'
import { databaseQuery, type Database } from '../../api/databases'
import { changeBlocked, useDatabaseAct } from '../../lib/database-actions'
import { useKeys } from '../../shell/keys'
import { Button } from '../../ui/button'
import { Crumbs, Empty, Skeleton, Trouble } from '../../ui/bits'
import { EngineMark, engineTitle } from '../../ui/engine'
import { Pips, StatusBadge } from '../../ui/status'
import app from '../app/app.module.css'

const TABS = [
  ['', 'Overview'],
  ['metrics', 'Metrics'],
  ['query', 'Query'],
  ['terminal', 'Terminal'],
  ['logs', 'Logs'],
  ['backups', 'Backups'],
  ['parameters', 'Parameters'],
  ['events', 'Events'],
  ['settings', 'Settings'],
] as const

/** The database of the page, for its tabs. */
export const useDatabase = (): Database => useOutletContext<Database>()

export default function DatabasePage() {
  const { workspace = 'default', name = '' } = useParams()
  const { data: database, error, refetch } = useQuery(databaseQuery(workspace, name))
  const navigate = useNavigate()
  const base = `/w/${workspace}/databases/${name}`
  useKeys(
    Object.fromEntries(TABS.map(([path], i) => [String(i + 1), () => void navigate(`${base}/${path}`)])),
  )
  if (error instanceof ApiError && error.status === 404)
    return (
      <Empty picture={<EngineMark engine="none" size={54} />} title={`There is no database “${name}”`}>
        <p>It may have been deleted, or its name may be spelled differently.</p>
        <Button asChild>
          <Link to={`/w/${workspace}/databases`}>All databases</Link>
        </Button>
      </Empty>
    )
  if (error && !database)
    return (
      <div className={app.page}>
        <Trouble error={error} title="The database could not be read" retry={() => void refetch()} />
      </div>
    )
  return (
    <div className={app.page}>
      <title>{`${name} · Sealos`}</title>
      <header className={app.header}>
        <Crumbs to={`/w/${workspace}/databases`} parent="Databases" here={name} />
        <div className={app.title}>
          {database && <EngineMark engine={database.engine} />}
          <h1 className="truncate">{name}</h1>
          {database && <StatusBadge phase={database.phase} />}
          {database && database.phase !== 'stopped' && <Pips phase={database.phase} {...database.replicas} />}
          {database && (
            <span className="muted nums">
              {database.note ?? `${engineTitle(database.engine)} ${database.version}`}
            </span>
          )}
          <span className="grow" />
          {database && <Actions database={database} />}
        </div>
      </header>
      <nav className={app.tabs} aria-label="Parts of the database">
        {TABS.map(([path, label]) => (
          <NavLink key={path} to={path ? `${base}/${path}` : base} end className={app.tab ?? ''}>
            {label}
          </NavLink>
        ))}
      </nav>
      {database ? <Outlet context={database} /> : <Skeleton height={180} />}
    </div>
  )
}

const Actions = ({ database }: { database: Database }) => {
  const act = useDatabaseAct(database)
  const { name } = database
  const busy = (verb: string) => act.isPending && act.variables.verb === verb
  if (database.phase === 'stopped')
    return (
      <Button
        look="primary"
        icon={<Play />}
        busy={busy('start')}
        onClick={() => act.mutate({ verb: 'start', what: `start ${name}`, done: `${name} is starting` })}
      >
        Start
      </Button>
    )
  return (
    <div className={app.actions}>
      <Button
        icon={<RotateCw />}
        busy={busy('restart')}
        blocked={changeBlocked(database)}
        onClick={() =>
          act.mutate({ verb: 'restart', what: `restart ${name}`, done: `${name} is restarting` })
        }
      >
        Restart
      </Button>
      <Button
        icon={<Square />}
        busy={busy('stop')}
        blocked={changeBlocked(database)}
        onClick={() => act.mutate({ verb: 'stop', what: `stop ${name}`, done: `${name} is stopped` })}
      >
        Stop
      </Button>
    </div>
  )
}
