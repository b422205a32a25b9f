import { expect, test } from 'vitest'
import { age, bytes, cores, parseBytes, parseCpu, quantity } from './units'

test('reads and writes CPU', () => {
  expect(['500m', '0.5', '2', '1.5 cores', '', 'much', '-1', '1e3'].map(parseCpu)).toEqual([
    500,
    500,
    2000,
    1500,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
  expect([1500, 200, 3.2, 0].map(cores)).toEqual(['1.5', '0.2', '0.003', '0'])
})

test('reads and writes bytes', () => {
  const mi = 1024 * 1024
  expect(parseBytes('256')).toBe(256 * mi)
  expect(parseBytes('10', 'Gi')).toBe(10 * 1024 * mi)
  expect(parseBytes('1.5 GiB')).toBe(1536 * mi)
  expect(parseBytes('all')).toBeUndefined()
  expect([256 * mi, 1536 * mi, 1024 * mi, 7].map(quantity)).toEqual(['256Mi', '1536Mi', '1Gi', '7'])
  expect([256 * mi, 1536 * mi, 512].map(bytes)).toEqual(['256 MiB', '1.5 GiB', '512 B'])
})

test('tells the age in one unit', () => {
  const now = Date.parse('2026-01-02T00:00:00Z')
  const at = (iso: string) => age(iso, now)
  expect(at('2026-01-01T23:59:30Z')).toBe('30s')
  expect(at('2026-01-01T22:00:00Z')).toBe('2h')
  expect(at('2025-12-01T00:00:00Z')).toBe('32d')
  expect(at('2026-01-03T00:00:00Z')).toBe('0s')
})
