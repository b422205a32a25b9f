/** How an app is: one word, one colour, and a pip per replica. */

import type { Phase } from '../api/types'
import { plural } from '../lib/units'
import css from './status.module.css'

const WORDS: Record<Phase, string> = {
  creating: 'Starting',
  running: 'Running',
  waiting: 'Waiting',
  error: 'Failing',
  stopped: 'Stopped',
  deleting: 'Deleting',
}

export const phaseWord = (phase: Phase): string => WORDS[phase]

export const StatusDot = ({ phase }: { phase: Phase }) => (
  <span className={`${css.dot} ${css[phase]}`} role="img" aria-label={WORDS[phase]} />
)

export const StatusBadge = ({ phase }: { phase: Phase }) => (
  <span className={`${css.badge} ${css[phase]}`} data-phase={phase}>
    <span className={css.dot} aria-hidden />
    {WORDS[phase]}
  </span>
)

const MOST_PIPS = 10

/** Replicas as a row of pips: filled is ready. */
export const Pips = ({ phase, ready, desired }: { phase: Phase; ready: number; desired: number }) => {
  const shown = Math.min(Math.max(desired, ready), MOST_PIPS)
  const label = desired === 0 ? 'No replicas' : `${ready} of ${plural(desired, 'replica')} ready`
  return (
    <span className={`${css.pips} ${css[phase]}`} role="img" aria-label={label} title={label}>
      {Array.from({ length: Math.max(shown, 1) }, (_, i) => (
        <span
          key={i}
          className={css.pip}
          data-ready={i < ready || undefined}
          data-none={desired === 0 || undefined}
        />
      ))}
      <span className={`${css.count} nums`} aria-hidden>
        {desired === 0 ? '0' : ready === desired ? desired : `${ready}/${desired}`}
      </span>
    </span>
  )
}
