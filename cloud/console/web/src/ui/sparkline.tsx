/** A line the size of a word. The area is filled up to the limit's scale, so that lines compare. */

interface Props {
  values: (number | null)[]
  /** What the full height stands for; the highest value when lower than it. */
  max: number
  tone?: 'alive' | 'second'
  label: string
}

const WIDTH = 84
const HEIGHT = 26

export const Sparkline = ({ values, max, tone = 'alive', label }: Props) => {
  const known = values.filter(value => value !== null)
  if (known.length < 2)
    return <svg width={WIDTH} height={HEIGHT} role="img" aria-label={`${label}: no samples yet`} />
  const top = Math.max(Math.max(...known) * 1.25, max * 0.04, 1)
  const step = WIDTH / (values.length - 1)
  const y = (value: number) => HEIGHT - 2 - (value / top) * (HEIGHT - 4)
  const runs: string[] = []
  let run = ''
  for (const [i, value] of values.entries()) {
    if (value === null) {
      if (run) runs.push(run)
      run = ''
    } else run += `${run ? 'L' : 'M'}${(i * step).toFixed(1)} ${y(value).toFixed(1)}`
  }
  if (run) runs.push(run)
  const color = `var(--${tone})`
  const area = (path: string) => {
    const xs = path.split(/[ML]/).filter(Boolean)
    const [first = '0'] = xs[0]?.split(' ') ?? []
    const [last = '0'] = xs.at(-1)?.split(' ') ?? []
    return `${path}L${last} ${HEIGHT}L${first} ${HEIGHT}Z`
  }
  return (
    <svg width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {runs.map(path => (
        <g key={path.slice(0, 12)}>
          <path d={area(path)} fill={color} opacity={0.13} />
          <path
            d={path}
            fill="none"
            stroke={color}
            strokeWidth={1.5}
            strokeLinejoin="round"
            strokeLinecap="round"
          />
        </g>
      ))}
    </svg>
  )
}
