/**
 * The lines of a log view: kept in chunks, so that a new line redraws one chunk and not ten thousand
 * lines, and limited, so that a talkative app cannot fill the browser.
 */

import type { LogLine, LogMessage } from '../api/types'

const CHUNK = 200
const MOST_CHUNKS = 50

export interface Line extends LogLine {
  id: number
  /** Set for words of the cloud's own, such as that a pod has ended. */
  note?: boolean
}

export interface View {
  chunks: readonly (readonly Line[])[]
  pods: readonly string[]
  count: number
  /** True when older lines were dropped to make room. */
  cut: boolean
  state: 'connecting' | 'live' | 'ended' | 'lost'
}

const EMPTY: View = { chunks: [], pods: [], count: 0, cut: false, state: 'connecting' }

const inChunks = (lines: Line[]): Line[][] =>
  Array.from({ length: Math.ceil(lines.length / CHUNK) }, (_, i) => lines.slice(i * CHUNK, (i + 1) * CHUNK))

const byTime = (a: Line, b: Line) => (a.at === b.at ? a.id - b.id : a.at < b.at ? -1 : 1)

export class LogStore {
  #view: View = EMPTY
  #waiting: Line[] = []
  #listeners = new Set<() => void>()
  #scheduled = false
  #lastId = 0

  /** `later` runs the redraw; a browser's next frame. */
  constructor(readonly later: (draw: () => void) => void) {}

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  view = (): View => this.#view

  receive(message: LogMessage): void {
    switch (message.type) {
      case 'lines':
        for (const line of message.lines) this.#waiting.push({ ...line, id: (this.#lastId += 1) })
        return this.#schedule()
      case 'note':
        this.#waiting.push({
          pod: message.pod,
          text: message.text,
          at: new Date().toISOString(),
          id: (this.#lastId += 1),
          note: true,
        })
        return this.#schedule()
      case 'pods':
        return this.#set({ pods: message.pods, state: 'live' })
      case 'end':
        return this.#set({ state: 'ended' })
    }
  }

  lost(): void {
    if (this.#view.state !== 'ended') this.#set({ state: 'lost' })
  }

  clear(): void {
    this.#waiting = []
    this.#set({ chunks: [], count: 0, cut: false })
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.later(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const fresh = this.#waiting
    this.#waiting = []
    fresh.sort(byTime)
    const newest = this.#view.chunks.at(-1)?.at(-1)
    const [first] = fresh
    // Pods do not wait for each other: what comes late is sorted in, which is rare and costs a redraw.
    const late = newest !== undefined && first !== undefined && first.at < newest.at
    let chunks = late
      ? inChunks([...this.#view.chunks.flat(), ...fresh].toSorted(byTime))
      : this.#append(fresh)
    const cut = this.#view.cut || chunks.length > MOST_CHUNKS
    if (chunks.length > MOST_CHUNKS) chunks = chunks.slice(-MOST_CHUNKS)
    this.#set({ chunks, cut, count: chunks.reduce((sum, chunk) => sum + chunk.length, 0) })
  }

  #append(fresh: Line[]): (readonly Line[])[] {
    const chunks = [...this.#view.chunks]
    const last = chunks.at(-1)
    const room = last ? CHUNK - last.length : 0
    if (last && room > 0) chunks[chunks.length - 1] = [...last, ...fresh.slice(0, room)]
    return [...chunks, ...inChunks(fresh.slice(room))]
  }

  #set(change: Partial<View>): void {
    this.#view = { ...this.#view, ...change }
    for (const listener of this.#listeners) listener()
  }
}
