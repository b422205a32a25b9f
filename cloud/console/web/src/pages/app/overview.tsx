/** How the app is doing: why it is not ready if it is not, where it answers, its pods, what it uses. */

import { useQuery } from '@tanstack/react-query'
import { ArrowUpRight, Lock, PaintBucket, ScrollText, SlidersHorizontal } from 'lucide-react'
import { lazy, Suspense, type ReactNode } from 'react'
import { Link, useSearchParams } from 'react-router'
import { draftQuery, metricsQuery } from '../../api/queries'
import type { App } from '../../api/types'
import { bucketOf, databaseNameFor, databaseOf } from '../../form/draft'
import { bytes, cores, hostOf, isWeb, parseBytes, parseCpu } from '../../lib/units'
import { Button } from '../../ui/button'
import { Card, CopyButton, Plain, Skeleton } from '../../ui/bits'
import { EngineMark } from '../../ui/engine'
import { Segments } from '../../ui/field'
import { phaseWord } from '../../ui/status'
import { useDark } from '../../shell/theme'
import { useApp } from './app'
import { Pods } from './pods'
import css from './overview.module.css'

const Chart = lazy(() => import('../../ui/chart'))

export default function OverviewTab() {
  const app = useApp()
  return (
    <div className={css.grid}>
      {app.message && <Why app={app} />}
      <Charts app={app} />
      <Pods app={app} />
      <div className={css.pair}>
        <Addresses app={app} />
        <Shape app={app} />
      </div>
    </div>
  )
}

const Why = ({ app }: { app: App }) => {
  const base = `/w/${app.workspace}/apps/${app.name}`
  return (
    <section className={css.why} data-phase={app.phase} role="status">
      <div className="grow">
        <h2>{app.phase === 'error' ? 'This app needs you' : phaseWord(app.phase)}</h2>
        <p>
          <Plain text={app.message} />
        </p>
      </div>
      {app.phase === 'error' && (
        <div className="row">
          <Button asChild size="s">
            <Link to={`${base}/logs`}>
              <ScrollText aria-hidden />
              Logs
            </Link>
          </Button>
          <Button asChild size="s">
            <Link to={`${base}/configuration`}>
              <SlidersHorizontal aria-hidden />
              Configuration
            </Link>
          </Button>
        </div>
      )}
    </section>
  )
}

const RANGES = [
  { value: '5', label: '5 min' },
  { value: '15', label: '15 min' },
  { value: '60', label: '1 h' },
]

/** An axis needs as many digits as tell its lines apart. */
const coresOnAxis = (millis: number) => String(Number((millis / 1000).toPrecision(2)))

const Charts = ({ app }: { app: App }) => {
  const { data, error } = useQuery(metricsQuery(app.workspace, app.name))
  const [params, setParams] = useSearchParams()
  const minutes = Number(params.get('range') ?? 5) || 5
  const from = (data?.at.at(-1) ?? 0) - minutes * 60
  const first = data
    ? Math.max(
        0,
        data.at.findIndex(at => at >= from),
      )
    : 0
  const cut = (key: 'cpuMillis' | 'memoryBytes') =>
    Object.entries(data?.pods ?? {})
      .map(([pod, series]) => ({ pod, values: series[key].slice(first) }))
      .filter(({ values }) => values.some(value => value !== null))
      .toSorted((a, b) => a.pod.localeCompare(b.pod))
  const at = data?.at.slice(first) ?? []
  // A canvas keeps the colours it was made with.
  const theme = useDark() ? 'dark' : 'light'
  return (
    <section className={css.charts} aria-label="CPU and memory">
      <header className={css.chartsHead}>
        <h2>What it uses</h2>
        <Segments
          label="Time shown"
          value={String(minutes)}
          options={RANGES}
          onChange={range =>
            setParams(range === '5' ? {} : { range }, { replace: true, preventScrollReset: true })
          }
        />
      </header>
      <div className={css.pair}>
        {data && at.length > 1 ? (
          <Suspense fallback={<ChartGhosts />}>
            <Chart
              key={`cpu ${theme}`}
              title="CPU"
              tone="alive"
              at={at}
              lines={cut('cpuMillis')}
              limit={parseCpu(app.cpu ?? '')}
              span={minutes * 60}
              format={value => `${cores(value)} cores`}
              short={coresOnAxis}
            />
            <Chart
              key={`memory ${theme}`}
              title="Memory"
              tone="second"
              binary
              at={at}
              lines={cut('memoryBytes')}
              limit={parseBytes(app.memory ?? '')}
              span={minutes * 60}
              format={bytes}
              short={bytes}
            />
          </Suspense>
        ) : data || error ? (
          <p className={`${css.none} small faint`}>
            {error ? error.message : 'The first samples come within seconds of the first pod.'}
          </p>
        ) : (
          <ChartGhosts />
        )}
      </div>
    </section>
  )
}

const ChartGhosts = () => (
  <>
    <Skeleton height={210} />
    <Skeleton height={210} />
  </>
)

const Addresses = ({ app }: { app: App }) => {
  const { data: draft } = useQuery(draftQuery(app.workspace, app.name))
  const inside = (draft?.ports ?? []).map(
    port => `${app.name}.${app.workspace}.svc.cluster.local:${port.port}`,
  )
  return (
    <Card title="Addresses">
      <ul className={css.addresses}>
        {app.urls.map(({ url, port }) => (
          <li key={url}>
            <ArrowUpRight size={15} aria-hidden className={css.out} />
            <span className="grow truncate">
              {isWeb(url) ? (
                <a href={url} target="_blank" rel="noreferrer">
                  {hostOf(url)}
                </a>
              ) : (
                <span className="mono">{url}</span>
              )}
            </span>
            <span className="faint small nums">port {port}</span>
            <CopyButton text={url} label="Copy the address" />
          </li>
        ))}
        {inside.map(host => (
          <li key={host}>
            <Lock size={13} aria-hidden className="faint" />
            <span className="grow truncate mono muted" title={host}>
              {host}
            </span>
            <CopyButton text={host} label="Copy the inside address" />
          </li>
        ))}
        {app.urls.length === 0 && inside.length === 0 && (
          <li className="small faint">
            {draft ? 'No ports: the app answers to nobody.' : <Skeleton width="60%" />}
          </li>
        )}
      </ul>
    </Card>
  )
}

const Shape = ({ app }: { app: App }) => {
  const { data: draft } = useQuery(draftQuery(app.workspace, app.name))
  const scale = draft?.autoscale
  const [database, bucket] = draft ? [databaseOf(draft), bucketOf(draft)] : []
  const databaseName = database?.name ?? databaseNameFor(app.name)
  const rows: [string, ReactNode][] = [
    ['Image', app.image],
    [
      'Size of a replica',
      `${cores(parseCpu(app.cpu ?? '') ?? 0)} cores, ${bytes(parseBytes(app.memory ?? '') ?? 0)}`,
    ],
    [
      'Replicas',
      scale
        ? `${scale.min} to ${scale.max}, at ${scale.percent} % ${scale.metric}`
        : String(app.replicas.desired),
    ],
    ['Storage', draft?.storage?.map(({ path, size }) => `${path} (${size})`).join(', ') || 'none'],
    ...(database
      ? ([
          [
            'Database',
            <Link key="database" to={`/w/${app.workspace}/databases/${databaseName}`} className={css.linked}>
              <EngineMark engine={database.engine} size={20} />
              {databaseName}
            </Link>,
          ],
        ] as [string, ReactNode][])
      : []),
    ...(bucket
      ? ([
          [
            'Bucket',
            <Link key="bucket" to={`/w/${app.workspace}/buckets/${bucket.name}`} className={css.linked}>
              <PaintBucket size={17} aria-hidden />
              {bucket.name}
            </Link>,
          ],
        ] as [string, ReactNode][])
      : []),
    ['Deployed', app.createdAt ? new Date(app.createdAt).toLocaleString() : '—'],
  ]
  return (
    <Card title="Shape">
      <dl className={css.shape}>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className={name === 'Image' ? 'mono' : undefined}>{value}</dd>
          </div>
        ))}
      </dl>
    </Card>
  )
}
