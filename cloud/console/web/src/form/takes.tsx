/** What all replicas together take, beside what the machine has left. */

import { useQuery } from '@tanstack/react-query'
import { capacityQuery } from '../api/queries'
import { bytes, inCores } from '../lib/units'
import { Skeleton } from '../ui/bits'
import { totals, type SizeDraft } from './database-draft'
import css from './takes.module.css'

interface BarProps {
  label: string
  takes: number
  /** What others have been promised of it. */
  held: number
  total: number
  format: (value: number) => string
}

const Bar = ({ label, takes, held, total, format }: BarProps) => {
  const left = Math.max(0, total - held)
  const over = takes > left
  const share = (value: number) => `${Math.min(100, (value / Math.max(total, 1)) * 100)}%`
  const text = over
    ? `${format(left)} left: more than there is`
    : `${format(left - takes)} left of ${format(total)} after it`
  return (
    <div className={css.bar} data-over={over || undefined}>
      <p className={css.head}>
        <span>{label}</span>
        <strong className="nums">{format(takes)}</strong>
      </p>
      <div className={css.track} role="img" aria-label={`${label}: takes ${format(takes)}, ${text}`}>
        <span className={css.held} style={{ width: share(held) }} />
        <span className={css.takes} style={{ width: share(takes) }} />
      </div>
      <p className={`${css.left} small nums`}>{text}</p>
    </div>
  )
}

export const Takes = ({ draft }: { draft: SizeDraft & { replicas: string } }) => {
  const { data } = useQuery(capacityQuery())
  const takes = totals(draft)
  const count = Number.parseInt(draft.replicas, 10) || 0
  return (
    <section className={css.card}>
      <h2>What it takes</h2>
      <p className="small muted">
        {count === 1 ? 'At most, when it is busy.' : `All ${count} replicas at most, when they are busy.`}
      </p>
      {data ? (
        <>
          <Bar
            label="CPU"
            takes={takes.cpuMillis}
            held={data.cpuMillis.requested}
            total={data.cpuMillis.total}
            format={inCores}
          />
          <Bar
            label="Memory"
            takes={takes.memoryBytes}
            held={data.memoryBytes.requested}
            total={data.memoryBytes.total}
            format={bytes}
          />
          {data.storageBytes && (
            <Bar
              label="Storage"
              takes={takes.storageBytes}
              held={Math.max(data.storageBytes.requested, data.storageBytes.used)}
              total={data.storageBytes.total}
              format={bytes}
            />
          )}
        </>
      ) : (
        <Skeleton height={150} />
      )}
    </section>
  )
}
