/** How the bucket grows. */

import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import { usageQuery } from '../../api/buckets'
import { bytes } from '../../lib/units'
import { useDark } from '../../shell/theme'
import { Plain, Skeleton } from '../../ui/bits'
import shared from '../app/overview.module.css'
import { useBucket } from './bucket'

const Chart = lazy(() => import('../../ui/chart'))

const count = (value: number) => Math.round(value).toLocaleString()
const short = (value: number) => String(Number(value.toPrecision(3)))

export default function UsageTab() {
  const { workspace, name } = useBucket()
  const { data, error } = useQuery(usageQuery(workspace, name))
  const theme = useDark() ? 'dark' : 'light'
  if (!data || data.at.length < 2)
    return (
      <p className={`${shared.none} small faint`}>
        {error ? (
          <Plain text={error.message} />
        ) : data ? (
          'The first samples come within a minute.'
        ) : (
          <Skeleton height={160} />
        )}
      </p>
    )
  const span = Math.max(60, (data.at.at(-1) ?? 0) - (data.at[0] ?? 0))
  return (
    <section className={shared.grid} aria-label="Usage over time">
      <div className={shared.pair}>
        <Suspense fallback={<Skeleton height={210} />}>
          <Chart
            key={`size ${theme}`}
            title="Size"
            tone="second"
            binary
            at={data.at}
            lines={[{ pod: 'size', values: data.sizeBytes }]}
            limit={data.quotaBytes ?? undefined}
            span={span}
            format={bytes}
            short={bytes}
          />
          <Chart
            key={`files ${theme}`}
            title="Files"
            tone="alive"
            floor={4}
            at={data.at}
            lines={[{ pod: 'files', values: data.objects }]}
            limit={undefined}
            span={span}
            format={count}
            short={short}
          />
        </Suspense>
      </div>
      {data.quotaBytes !== null && (
        <p className="small muted nums">
          The workspace may keep {bytes(data.quotaBytes)} in all its buckets.
        </p>
      )}
    </section>
  )
}
