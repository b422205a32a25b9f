/** Whether a backup has been brought back and checked, and when. */

import { ShieldCheck, ShieldX } from 'lucide-react'
import type { Drill } from '../../api/databases'
import { age } from '../../lib/units'
import { Plain } from '../../ui/bits'
import css from './drill.module.css'

/** Seconds as people say them. */
export const seconds = (count: number): string =>
  count < 90 ? `${Math.round(count)} s` : `${Math.round(count / 60)} min`

export const DrillLine = ({ drill }: { drill: Drill | null }) =>
  drill === null ? (
    <span className="muted">not yet</span>
  ) : (
    <span className={css.drill} data-ok={drill.ok} title={new Date(drill.at).toLocaleString()}>
      {drill.ok ? <ShieldCheck size={15} aria-hidden /> : <ShieldX size={15} aria-hidden />}
      <span>
        {drill.ok ? `${age(drill.at)} ago` : `failed ${age(drill.at)} ago`}
        {drill.tookSeconds !== null && <span className="muted">, took {seconds(drill.tookSeconds)}</span>}
        {drill.detail && (
          <span className={`${css.detail} muted small`}>
            <Plain text={drill.detail} />
          </span>
        )}
      </span>
    </span>
  )
