import { expect, test } from 'vitest'
import { cronOf, cronProblem, rhythmOf } from './cron'

test('what the form writes it reads back', () => {
  for (const cron of ['5 * * * *', '0 3 * * *', '30 23 * * 6']) expect(cronOf(rhythmOf(cron))).toBe(cron)
})

test('what the form cannot say stays as it is written', () => {
  for (const cron of ['*/5 * * * *', '0 3 1 * *', '0 3 * * 1-5', '0 3,15 * * *'])
    expect(rhythmOf(cron).every).toBe('other')
})

test('names what is no cron line', () => {
  expect(cronProblem('0 3 * *')).toMatch(/Five fields/)
  expect(cronProblem('0 3 * * nightly!')).toMatch(/Numbers/)
  expect(cronProblem('0 3 * * 1-5')).toBeUndefined()
})
