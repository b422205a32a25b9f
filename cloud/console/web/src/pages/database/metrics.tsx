/** What the engine does, as charts, and which statements take its time. */

import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import { useSearchParams } from 'react-router'
import { databaseMetricsQuery, slowQuery, type Database, type DatabaseMetrics } from '../../api/databases'
import { askBlocked } from '../../lib/database-actions'
import { bytes, parseBytes } from '../../lib/units'
import { useDark } from '../../shell/theme'
import { Card, Plain, Skeleton } from '../../ui/bits'
import { Segments } from '../../ui/field'
import shared from '../app/overview.module.css'
import pods from '../app/pods.module.css'
import { useDatabase } from './database'
import css from './metrics.module.css'

const Chart = lazy(() => import('../../ui/chart'))

const RANGES = [
  { value: '5', label: '5 min' },
  { value: '15', label: '15 min' },
  { value: '60', label: '1 h' },
]

const whole = (value: number) => String(Math.round(value))
const rate = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)}/s`
const short = (value: number) => String(Number(value.toPrecision(3)))
const percent = (value: number) => `${Number((value * 100).toFixed(1))} %`
const span = (value: number) => {
  if (value >= 1) return `${value.toFixed(1)} s`
  const millis = value * 1000
  return `${millis >= 10 ? Math.round(millis) : Number(millis.toPrecision(2))} ms`
}

/** The least that the width of a chart stands for, in seconds. */
const LEAST_SPAN = 120

interface Kind {
  key: string
  title: string
  tone: 'alive' | 'second'
  format: (value: number) => string
  short: (value: number) => string
  floor?: number
  ceiling?: number
  binary?: boolean
}

const KINDS: Kind[] = [
  { key: 'connections', title: 'Connections', tone: 'alive', format: whole, short, floor: 8 },
  { key: 'transactionsPerSecond', title: 'Transactions', tone: 'alive', format: rate, short, floor: 4 },
  { key: 'cacheHitRate', title: 'Cache hits', tone: 'second', format: percent, short: percent, ceiling: 1 },
  {
    key: 'replicationLagSeconds',
    title: 'Replication lag',
    tone: 'second',
    format: span,
    short: span,
    floor: 1,
  },
  { key: 'memoryBytes', title: 'Memory', tone: 'second', format: bytes, short: bytes, binary: true },
  { key: 'storageBytes', title: 'Storage', tone: 'second', format: bytes, short: bytes, binary: true },
]

const limitOf = (key: string, database: Database, metrics: DatabaseMetrics): number | undefined => {
  if (key === 'connections') return metrics.maxConnections ?? undefined
  if (key === 'memoryBytes') return parseBytes(database.memory)
  return key === 'storageBytes' ? parseBytes(database.storage) : undefined
}

export default function MetricsTab() {
  const database = useDatabase()
  return (
    <div className={shared.grid}>
      <Charts database={database} />
      <Slow database={database} />
    </div>
  )
}

const Charts = ({ database }: { database: Database }) => {
  const { data, error } = useQuery(databaseMetricsQuery(database.workspace, database.name))
  const [params, setParams] = useSearchParams()
  const minutes = Number(params.get('range') ?? 15) || 15
  const from = (data?.at.at(-1) ?? 0) - minutes * 60
  const first = Math.max(0, data?.at.findIndex(at => at >= from) ?? 0)
  const at = data?.at.slice(first) ?? []
  const theme = useDark() ? 'dark' : 'light'
  // What has only just begun fills its chart.
  const width = Math.min(minutes * 60, Math.max(LEAST_SPAN, (at.at(-1) ?? 0) - (at[0] ?? 0)))
  const known = KINDS.filter(({ key }) => data?.series[key]?.some(value => value !== null))
  return (
    <section className={shared.charts} aria-label="What the engine does">
      <header className={shared.chartsHead}>
        <h2>What the engine does</h2>
        <Segments
          label="Time shown"
          value={String(minutes)}
          options={RANGES}
          onChange={range =>
            setParams(range === '15' ? {} : { range }, { replace: true, preventScrollReset: true })
          }
        />
      </header>
      <div className={shared.pair}>
        {data && known.length > 0 && at.length > 1 ? (
          <Suspense fallback={<Ghosts />}>
            {known.map(({ key, ...kind }) => (
              <Chart
                key={`${key} ${theme}`}
                {...kind}
                title={
                  key === 'transactionsPerSecond' && database.engine === 'redis' ? 'Commands' : kind.title
                }
                at={at}
                lines={[{ pod: key, values: data.series[key]?.slice(first) ?? [] }]}
                limit={limitOf(key, database, data)}
                span={width}
              />
            ))}
          </Suspense>
        ) : data || error ? (
          <p className={`${shared.none} small faint`}>
            {error ? (
              <Plain text={error.message} />
            ) : (
              (askBlocked(database) ?? 'The first samples come within seconds of the first look.')
            )}
          </p>
        ) : (
          <Ghosts />
        )}
      </div>
    </section>
  )
}

const Ghosts = () => (
  <>
    <Skeleton height={210} />
    <Skeleton height={210} />
  </>
)

const Slow = ({ database }: { database: Database }) => {
  const blocked = askBlocked(database)
  const { data, error } = useQuery({
    ...slowQuery(database.workspace, database.name),
    enabled: blocked === undefined,
  })
  return (
    <Card title="What takes its time" flush>
      {data && data.length > 0 ? (
        <div className={pods.scroll} tabIndex={0} role="region" aria-label="Slow statements">
          <table className={pods.table}>
            <thead>
              <tr>
                <th>Statement</th>
                <th className={css.number}>Calls</th>
                <th className={css.number}>Mean</th>
                <th className={css.number}>Total</th>
              </tr>
            </thead>
            <tbody>
              {data.map(({ statement, calls, meanMillis, totalMillis }) => (
                <tr key={statement}>
                  <td className={`${css.statement} mono`} title={statement}>
                    {statement}
                  </td>
                  <td className={`${css.number} nums`}>{calls.toLocaleString()}</td>
                  <td className={`${css.number} nums`}>{span(meanMillis / 1000)}</td>
                  <td className={`${css.number} nums`}>{span(totalMillis / 1000)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <p className={pods.none}>
          {error ? (
            <Plain text={error.message} />
          ) : (
            (blocked ?? (data ? 'No statement has been slow so far.' : 'Asking the engine…'))
          )}
        </p>
      )}
    </Card>
  )
}
