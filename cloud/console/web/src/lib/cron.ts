/** The schedules that the form offers, and any other as cron writes it. */

export interface Rhythm {
  every: 'hour' | 'day' | 'week' | 'other'
  /** `HH:MM`; of an hourly one only the minutes count. */
  time: string
  /** 0 is Sunday. */
  weekday: number
}

export const WEEKDAYS = [
  'Sunday',
  'Monday',
  'Tuesday',
  'Wednesday',
  'Thursday',
  'Friday',
  'Saturday',
] as const

const two = (value: string | undefined) => (value ?? '0').padStart(2, '0')

const plain = (field: string | undefined) => field !== undefined && /^\d+$/.test(field)

/** What a cron line says, as far as the form can say it. */
export const rhythmOf = (cron: string): Rhythm => {
  const [minute, hour, day, month, weekday, ...more] = cron.trim().split(/\s+/)
  const time = `${plain(hour) ? two(hour) : '00'}:${plain(minute) ? two(minute) : '00'}`
  const other: Rhythm = { every: 'other', time, weekday: 0 }
  if (more.length > 0 || day !== '*' || month !== '*' || !plain(minute)) return other
  if (hour === '*') return weekday === '*' ? { every: 'hour', time, weekday: 0 } : other
  if (!plain(hour)) return other
  if (weekday === '*') return { every: 'day', time, weekday: 0 }
  return plain(weekday) ? { every: 'week', time, weekday: Number(weekday) % 7 } : other
}

/** The cron line of a rhythm; `other` has one of its own. */
export const cronOf = ({ every, time, weekday }: Rhythm): string => {
  const [hour = '0', minute = '0'] = time.split(':').map(part => String(Number(part)))
  if (every === 'hour') return `${minute} * * * *`
  return `${minute} ${hour} * * ${every === 'week' ? weekday : '*'}`
}

/** Why it is no cron line of five fields; undefined when it may be one. The server decides. */
export const cronProblem = (cron: string): string | undefined => {
  const fields = cron.trim().split(/\s+/)
  if (fields.length !== 5) return 'Five fields: minute, hour, day, month, weekday'
  return fields.every(field => /^[\d*,/-]+$|^[\d*]?[a-z]{3}(?:-[a-z]{3})?$/i.test(field))
    ? undefined
    : 'Numbers, *, ranges, lists and steps, as in 0 3 * * 1-5'
}
