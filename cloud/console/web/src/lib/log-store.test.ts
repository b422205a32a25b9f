import { expect, test } from 'vitest'
import type { LogLine } from '../api/types'
import { LogStore } from './log-store'

const line = (second: number, pod = 'a'): LogLine => ({
  pod,
  at: new Date(second * 1000).toISOString(),
  text: `${pod} ${second}`,
})

const texts = (store: LogStore) =>
  store
    .view()
    .chunks.flat()
    .map(({ text }) => text)

const store = () => new LogStore(draw => draw())

test('sorts in what comes late', () => {
  const logs = store()
  logs.receive({ type: 'lines', lines: [line(1), line(4)] })
  logs.receive({ type: 'lines', lines: [line(3, 'b'), line(5, 'b')] })
  expect(texts(logs)).toEqual(['a 1', 'b 3', 'a 4', 'b 5'])
})

test('a new line leaves full chunks as they are', () => {
  const logs = store()
  logs.receive({ type: 'lines', lines: Array.from({ length: 250 }, (_, i) => line(i)) })
  const [first] = logs.view().chunks
  logs.receive({ type: 'lines', lines: [line(300)] })
  expect(logs.view().chunks[0]).toBe(first)
  expect(logs.view().count).toBe(251)
})

test('drops the oldest lines, and says so', () => {
  const logs = store()
  logs.receive({ type: 'lines', lines: Array.from({ length: 10_400 }, (_, i) => line(i)) })
  expect(logs.view().count).toBe(10_000)
  expect(logs.view().cut).toBe(true)
  expect(texts(logs)[0]).toBe('a 400')
})

test('a log that has ended is not lost', () => {
  const logs = store()
  logs.receive({ type: 'end' })
  logs.lost()
  expect(logs.view().state).toBe('ended')
})
