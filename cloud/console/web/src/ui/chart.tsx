/** Lines over time, one per pod or just one, drawn on a canvas. */

import { useEffect, useRef, useState } from 'react'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { latest } from '../lib/units'
import css from './chart.module.css'

interface Props {
  title: string
  tone: 'alive' | 'second'
  at: number[]
  lines: { pod: string; values: (number | null)[] }[]
  /** What each pod may use; drawn when the lines come near it. */
  limit: number | undefined
  /** How many seconds the width stands for. */
  span: number
  format: (value: number) => string
  /** For the axis, where the unit is clear. Must stay the same function. */
  short: (value: number) => string
  /** Whether the values are bytes, whose axis counts in powers of two. */
  binary?: boolean
  /** The lowest top of the axis: what is small should look small. */
  floor?: number
  /** The top of the axis, for values that have one. */
  ceiling?: number
}

const HEIGHT = 168

/** What CSS knows as a colour, in a form that a canvas knows too. */
const resolve = (name: string): string => {
  const probe = document.createElement('span')
  probe.style.color = `var(--${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

/** Steps of an axis of bytes: powers of two, so that the labels are whole. */
const BINARY = Array.from({ length: 40 }, (_, i) => 2 ** (i + 4))

interface Look {
  width: number
  tone: Props['tone']
  pods: string[]
  limit: boolean
  binary: boolean
  format: (value: number) => string
}

const options = ({ width, tone, pods, limit, binary, format }: Look): UPlot.Options => {
  const [stroke, line, faint] = [resolve(tone), resolve('line'), resolve('ink-3')]
  const font = "11px 'Instrument Sans', sans-serif"
  const axis = { stroke: faint, font, grid: { stroke: line, width: 1 }, ticks: { show: false } }
  return {
    width,
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: true } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 70,
        size: 26,
        values: [
          [60, '{HH}:{mm}', null, null, null, null, null, null, 1],
          [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1],
        ],
      },
      {
        ...axis,
        size: 58,
        space: 34,
        gap: 4,
        values: (_, splits) => splits.map(format),
        ...(binary ? { incrs: BINARY } : {}),
      },
    ],
    series: [
      {},
      ...pods.map(label => ({
        label,
        stroke,
        width: 1.6,
        ...(pods.length === 1 ? { fill: stroke.replace(')', ' / 0.12)') } : {}),
        points: { show: false },
        alpha: pods.length > 6 ? 0.6 : 0.9,
      })),
      ...(limit
        ? [{ label: 'limit', stroke: resolve('trouble'), width: 1, dash: [4, 4], points: { show: false } }]
        : []),
    ],
  }
}

const valueAt = (values: (number | null)[], i: number | null): number | null =>
  i === null ? (latest(values) ?? null) : (values[i] ?? null)

export default function Chart(props: Props) {
  const { title, tone, at, lines, limit, span, format, short, ceiling } = props
  const { binary = false, floor = binary ? 2 ** 20 : 5 } = props
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(null)
  const [hovered, setHovered] = useState<number | null>(null)
  const pods = lines.map(({ pod }) => pod).join(' ')
  const most = Math.max(0, ...lines.flatMap(({ values }) => values.filter(value => value !== null)))
  const near = limit !== undefined && most > limit * 0.6
  const top = ceiling ?? Math.max(most * 1.2, near ? limit * 1.08 : 0, floor)

  useEffect(() => {
    const host = box.current
    if (!host) return undefined
    const made = new UPlot(
      {
        ...options({
          width: host.clientWidth,
          tone,
          pods: pods ? pods.split(' ') : [],
          limit: near,
          binary,
          format: short,
        }),
        hooks: { setCursor: [u => setHovered(u.cursor.idx ?? null)] },
      },
      undefined,
      host,
    )
    plot.current = made
    const observer = new ResizeObserver(() => made.setSize({ width: host.clientWidth, height: HEIGHT }))
    observer.observe(host)
    return () => {
      observer.disconnect()
      made.destroy()
    }
  }, [tone, pods, near, short, binary])

  // After every render: a plot that was made anew has no data yet.
  useEffect(() => {
    const end = at.at(-1) ?? 0
    plot.current?.batch(() => {
      plot.current?.setData(
        [at, ...lines.map(({ values }) => values), ...(near ? [at.map(() => limit)] : [])],
        false,
      )
      plot.current?.setScale('x', { min: end - span, max: end })
      plot.current?.setScale('y', { min: 0, max: top })
    })
  })

  const values = lines.map(({ values }) => valueAt(values, hovered)).filter(value => value !== null)
  const total = values.length > 0 ? values.reduce((sum, value) => sum + value, 0) : undefined
  const when = hovered === null ? 'now' : new Date((at[hovered] ?? 0) * 1000).toLocaleTimeString()
  return (
    <figure className={css.chart}>
      <figcaption className={css.head}>
        <span className={css.title}>
          <span className={css.swatch} style={{ background: `var(--${tone})` }} />
          {title}
        </span>
        <span className={`${css.value} nums`}>
          {total === undefined ? '—' : format(total)}
          <span className="faint small">
            {values.length > 1 ? ` in ${values.length} pods, ${when}` : ` ${when}`}
          </span>
        </span>
      </figcaption>
      {lines.length === 0 && <p className={css.none}>Nothing was measured in this time</p>}
      <div
        ref={box}
        className={css.plot}
        role="img"
        aria-label={`${title} over time, up to ${format(most)}${values.length > 1 ? ' per pod' : ''}`}
      />
    </figure>
  )
}
