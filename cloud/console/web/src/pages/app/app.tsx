/** One app: its head, its tabs, and what the chosen tab shows. */

import { useQuery } from '@tanstack/react-query'
import { ExternalLink, Play, RotateCw, Square } from 'lucide-react'
import { Link, NavLink, Outlet, useNavigate, useOutletContext, useParams } from 'react-router'
import { appsQuery } from '../../api/queries'
import type { App } from '../../api/types'
import { restartBlocked, useAct } from '../../lib/actions'
import { hostOf, isWeb } from '../../lib/units'
import { useKeys } from '../../shell/keys'
import { Button } from '../../ui/button'
import { Crumbs, Empty, Seal, Skeleton, Trouble } from '../../ui/bits'
import { Pips, StatusBadge } from '../../ui/status'
import css from './app.module.css'

const TABS = [
  ['', 'Overview'],
  ['logs', 'Logs'],
  ['terminal', 'Terminal'],
  ['events', 'Events'],
  ['configuration', 'Configuration'],
  ['settings', 'Settings'],
] as const

/** The app of the page, for its tabs. */
export const useApp = (): App => useOutletContext<App>()

export default function AppPage() {
  const { workspace = 'default', name = '' } = useParams()
  const apps = useQuery(appsQuery(workspace))
  const navigate = useNavigate()
  const base = `/w/${workspace}/apps/${name}`
  useKeys(
    Object.fromEntries(TABS.map(([path], i) => [String(i + 1), () => void navigate(`${base}/${path}`)])),
  )
  const app = apps.data?.find(other => other.name === name)
  if (apps.error && !apps.data)
    return (
      <div className={css.page}>
        <Trouble error={apps.error} title="The app could not be read" retry={() => void apps.refetch()} />
      </div>
    )
  if (apps.data && !app)
    return (
      <Empty picture={<Seal size={64} />} title={`There is no app “${name}”`}>
        <p>It may have been deleted, or its name may be spelled differently.</p>
        <Button asChild>
          <Link to={`/w/${workspace}`}>All apps</Link>
        </Button>
      </Empty>
    )
  return (
    <div className={css.page}>
      <title>{`${name} · Sealos`}</title>
      <header className={css.header}>
        <Crumbs to={`/w/${workspace}`} parent="Apps" here={name} />
        <div className={css.title}>
          <h1 className="truncate">{name}</h1>
          {app && <StatusBadge phase={app.phase} />}
          {app && app.phase !== 'stopped' && <Pips phase={app.phase} {...app.replicas} />}
          <span className="grow" />
          {app && <Actions app={app} />}
        </div>
      </header>
      <nav className={css.tabs} aria-label="Parts of the app">
        {TABS.map(([path, label]) => (
          <NavLink key={path} to={path ? `${base}/${path}` : base} end className={css.tab ?? ''}>
            {label}
          </NavLink>
        ))}
      </nav>
      {app ? <Outlet context={app} /> : <Skeleton height={180} />}
    </div>
  )
}

const Actions = ({ app }: { app: App }) => {
  const act = useAct(app)
  const url = app.urls.find(address => isWeb(address.url))?.url
  const busy = (verb: string) => act.isPending && act.variables === verb
  return (
    <div className={css.actions}>
      {app.phase === 'stopped' ? (
        <Button icon={<Play />} busy={busy('start')} onClick={() => act.mutate('start')}>
          Start
        </Button>
      ) : (
        <>
          <Button
            icon={<RotateCw />}
            busy={busy('restart')}
            blocked={restartBlocked(app)}
            onClick={() => act.mutate('restart')}
          >
            Restart
          </Button>
          <Button icon={<Square />} busy={busy('stop')} onClick={() => act.mutate('stop')}>
            Stop
          </Button>
        </>
      )}
      {url && (
        <Button asChild look="primary">
          <a href={url} target="_blank" rel="noreferrer" title={hostOf(url)}>
            <ExternalLink aria-hidden />
            Open
          </a>
        </Button>
      )}
    </div>
  )
}
