import { expect, test, vi } from 'vitest'
import { Uploads, type Upload } from './uploads'

const files = (...names: string[]) => names.map(path => ({ path, file: new File(['abc'], path) }))

test('sends three at a time, under the prefix, and tells what arrived', async () => {
  const open: (() => void)[] = []
  const arrived = vi.fn<(upload: Upload) => void>()
  const uploads = new Uploads(() => new Promise(resolve => open.push(resolve)), arrived)
  uploads.add('default', 'photos', '2026/', files('a', 'b', 'c', 'd'))
  expect(uploads.view().map(({ state }) => state)).toEqual(['sending', 'sending', 'sending', 'waiting'])
  expect(uploads.view()[3]?.key).toBe('2026/d')
  open[0]?.()
  await vi.waitFor(() => expect(uploads.view()[3]?.state).toBe('sending'))
  expect(uploads.view()[0]).toMatchObject({ state: 'done', sent: 3 })
  expect(arrived).toHaveBeenCalledOnce()
})

test('a failure is kept with its reason and can be tried again', async () => {
  let fail = true
  const uploads = new Uploads(async () => {
    if (fail) throw new Error('no room')
  }, vi.fn<(upload: Upload) => void>())
  uploads.add('default', 'photos', '', files('a'))
  await vi.waitFor(() => expect(uploads.view()[0]?.error?.message).toBe('no room'))
  fail = false
  uploads.retry(uploads.view()[0]?.id ?? 0)
  await vi.waitFor(() => expect(uploads.view()[0]?.state).toBe('done'))
})

test('clearing stops what is on its way', () => {
  const signals: AbortSignal[] = []
  const uploads = new Uploads((_, __, ___, signal) => {
    signals.push(signal)
    return new Promise(() => undefined)
  }, vi.fn<(upload: Upload) => void>())
  uploads.add('default', 'photos', '', files('a'))
  uploads.clear()
  expect(signals[0]?.aborted).toBe(true)
  expect(uploads.view()).toEqual([])
})
