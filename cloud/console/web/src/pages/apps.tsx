/** Every app of the workspace, how it is, and what it uses. */

import { useQuery } from '@tanstack/react-query'
import { Plus, Search, X } from 'lucide-react'
import { useRef } from 'react'
import { Link, useParams, useSearchParams } from 'react-router'
import { appsQuery, workspaceMetricsQuery } from '../api/queries'
import type { App, Phase } from '../api/types'
import { plural } from '../lib/units'
import { useUrlText } from '../lib/url-text'
import { useKeys } from '../shell/keys'
import { Button, IconButton } from '../ui/button'
import { Command, Empty, Kbd, Seal, Skeleton, Trouble } from '../ui/bits'
import { Segments } from '../ui/field'
import { phaseWord } from '../ui/status'
import { AppRow } from './app-row'
import css from './apps.module.css'

const matches = (app: App, text: string) =>
  [app.name, app.image, ...app.urls.map(({ url }) => url)].some(field =>
    field.toLowerCase().includes(text.toLowerCase()),
  )

type Filter = 'all' | 'running' | 'trouble' | 'stopped'

const FILTERS: Record<Filter, (phase: Phase) => boolean> = {
  all: () => true,
  running: phase => phase === 'running',
  trouble: phase => phase === 'error' || phase === 'creating' || phase === 'waiting',
  stopped: phase => phase === 'stopped',
}

/** “5 running, 1 failing”: what a glance should tell. */
const summary = (apps: App[]): string => {
  const phases: Phase[] = ['running', 'creating', 'waiting', 'error', 'stopped', 'deleting']
  const counts = phases.map(phase => [apps.filter(app => app.phase === phase).length, phase] as const)
  return counts
    .filter(([count]) => count > 0)
    .map(([count, phase]) => `${count} ${phaseWord(phase).toLowerCase()}`)
    .join(', ')
}

export default function AppsPage() {
  const { workspace = 'default' } = useParams()
  const apps = useQuery(appsQuery(workspace))
  const metrics = useQuery(workspaceMetricsQuery(workspace))
  const [params, setParams] = useSearchParams()
  const search = useRef<HTMLInputElement>(null)
  const [text, setText] = useUrlText('q')
  const wanted = params.get('show')
  const filter: Filter = wanted === 'running' || wanted === 'trouble' || wanted === 'stopped' ? wanted : 'all'
  const set = (key: string, value: string) =>
    setParams(
      old => {
        const next = new URLSearchParams(old)
        if (value) next.set(key, value)
        else next.delete(key)
        return next
      },
      { replace: true },
    )
  useKeys({ '/': () => search.current?.focus() })

  const shown = apps.data?.filter(app => FILTERS[filter](app.phase) && matches(app, text))
  const count = (filter: Filter) => apps.data?.filter(app => FILTERS[filter](app.phase)).length ?? 0
  return (
    <div className={css.page}>
      <title>Apps · Sealos</title>
      <header className={css.header}>
        <div className="grow">
          <h1>Apps</h1>
          <p className="muted" role="status">
            {apps.data ? summary(apps.data) || 'Nothing runs here yet' : '\u00A0'}
          </p>
        </div>
        <Button asChild look="primary">
          <Link to={`/w/${workspace}/deploy`}>
            <Plus aria-hidden />
            Deploy an app
          </Link>
        </Button>
      </header>

      {apps.data?.length !== 0 && (
        <div className={css.tools}>
          <label className={css.search}>
            <Search size={15} aria-hidden />
            <input
              ref={search}
              type="search"
              placeholder="Search by name, image or address"
              aria-label="Search apps"
              value={text}
              onChange={event => setText(event.target.value)}
              onKeyDown={event => {
                if (event.key !== 'Escape') return
                setText('')
                event.currentTarget.blur()
              }}
            />
            {text ? (
              <IconButton size="s" label="Clear the search" icon={<X />} onClick={() => setText('')} />
            ) : (
              <Kbd>/</Kbd>
            )}
          </label>
          <Segments
            label="Show"
            value={filter}
            options={[
              { value: 'all', label: 'All' },
              { value: 'running', label: <Counted word="Running" count={count('running')} /> },
              { value: 'trouble', label: <Counted word="Attention" count={count('trouble')} /> },
              { value: 'stopped', label: <Counted word="Stopped" count={count('stopped')} /> },
            ]}
            onChange={value => set('show', value === 'all' ? '' : value)}
          />
        </div>
      )}

      {apps.error && !apps.data ? (
        <Trouble error={apps.error} title="The apps could not be listed" retry={() => void apps.refetch()} />
      ) : !shown ? (
        <Loading />
      ) : apps.data?.length === 0 ? (
        <FirstApp workspace={workspace} />
      ) : shown.length === 0 ? (
        <Empty title="No app matches">
          <p>{plural(apps.data?.length ?? 0, 'app')} in this workspace, none that fits.</p>
          <Button
            onClick={() => {
              setText('')
              setParams({}, { replace: true })
            }}
          >
            Show all
          </Button>
        </Empty>
      ) : (
        <div className={css.table} role="table" aria-label="Apps">
          <div className={css.head} role="row">
            {['App', 'Address', 'Replicas', 'CPU', 'Memory', 'Age', ''].map(title => (
              <span key={title} role="columnheader">
                {title || <span className="sr-only">Actions</span>}
              </span>
            ))}
          </div>
          {shown.map(app => (
            <AppRow key={app.name} app={app} series={metrics.data?.[app.name]} />
          ))}
        </div>
      )}
    </div>
  )
}

const Counted = ({ word, count }: { word: string; count: number }) => (
  <>
    {word} <span className="faint nums">{count}</span>
  </>
)

const Loading = () => (
  <div className={css.table} role="status" aria-label="Loading the apps">
    {[0, 1, 2, 3].map(i => (
      <div key={i} className={css.ghost}>
        <Skeleton width={9} height={9} />
        <Skeleton width={`${24 - i * 3}%`} />
        <Skeleton width="20%" />
        <span className="grow" />
        <Skeleton width={84} height={22} />
        <Skeleton width={84} height={22} />
      </div>
    ))}
  </div>
)

const FirstApp = ({ workspace }: { workspace: string }) => (
  <Empty picture={<Seal size={72} />} title="Calm waters: nothing runs here yet">
    <p>
      An app is a container image with a size, some settings and an address. Give this cloud an image and it
      runs within seconds.
    </p>
    <Button asChild look="primary">
      <Link to={`/w/${workspace}/deploy`}>
        <Plus aria-hidden />
        Deploy your first app
      </Link>
    </Button>
    <p className="small faint">or from a terminal, with an image or a directory that has a Dockerfile</p>
    <Command>sealos deploy examples/hello --name hello --port 8080</Command>
  </Empty>
)
