/** Sizes as people read and type them. */

const KI = 1024
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** The steps of the sliders. */
export const CPU_STEPS = [100, 200, 500, 1000, 2000, 3000, 4000, 8000]
export const MEMORY_STEPS = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384].map(mi => mi * KI * KI)

const trim = (value: number, digits: number) => String(Number(value.toFixed(digits)))

/** `1536 MiB` as `1.5 GiB`. */
export const bytes = (value: number): string => {
  let size = value
  let unit = 0
  while (size >= KI && unit < UNITS.length - 1) {
    size /= KI
    unit += 1
  }
  return `${trim(size, size < 10 ? 1 : 0)} ${UNITS[unit]}`
}

/** Cores, without pretending more precision than was measured. */
export const cores = (millis: number): string => {
  const value = millis / 1000
  return trim(value, value < 0.1 ? 3 : 2)
}

/** The same with its word: `1 core`, `0.5 cores`. */
export const inCores = (millis: number): string => `${cores(millis)} ${millis === 1000 ? 'core' : 'cores'}`

/** `250m`, `0.25`, `2` as thousandths of a core; undefined when it is neither. */
export const parseCpu = (text: string): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)\s*(m|cores?)?$/i.exec(text.trim())
  if (!match) return undefined
  const value = Number(match[1])
  return Math.round(match[2]?.toLowerCase() === 'm' ? value : value * 1000)
}

/** `256Mi`, `1.5 GiB`, `512` (MiB) as bytes; undefined when it is none of them. */
export const parseBytes = (text: string, bare: 'Mi' | 'Gi' = 'Mi'): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])i?b?)?$/i.exec(text.trim())
  if (!match) return undefined
  const unit = (match[2] ?? bare[0] ?? 'm').toLowerCase()
  return Math.round(Number(match[1]) * KI ** ('kmgt'.indexOf(unit) + 1))
}

/** A quantity as Kubernetes writes it: `256Mi`. */
export const quantity = (value: number): string => {
  for (const [index, unit] of (['Ti', 'Gi', 'Mi', 'Ki'] as const).entries()) {
    const size = KI ** (4 - index)
    if (value >= size && value % size === 0) return `${value / size}${unit}`
  }
  return String(value)
}

const STEPS: [number, string][] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'm'],
]

/** How long ago, in one unit: `3h`. */
export const age = (iso: string, now = Date.now()): string => {
  const seconds = Math.max(0, Math.floor((now - Date.parse(iso)) / 1000))
  for (const [size, unit] of STEPS) if (seconds >= size) return `${Math.floor(seconds / size)}${unit}`
  return `${seconds}s`
}

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`

/** The part of an address that people read. */
export const hostOf = (url: string): string => url.replace(/^[a-z]+:\/\//, '')

/** Whether a browser can open it: TCP and UDP ports are for other programs. */
export const isWeb = (url: string): boolean => /^https?:/.test(url)

/** The newest value, if it is new: the very last sample may still be on its way. */
export const latest = (values: readonly (number | null)[]): number | undefined =>
  values.at(-1) ?? values.at(-2) ?? undefined
