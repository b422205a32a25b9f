import { expect, test } from 'vitest'
import { toCsv } from './csv'

test('quotes what a comma, a quote or a line break would tear', () => {
  const rows = [
    [1, 'plain', null],
    [2, 'a "word", quoted', 'two\nlines'],
  ]
  expect(toCsv(['id', 'text', 'note'], rows)).toBe(
    'id,text,note\r\n1,plain,\r\n2,"a ""word"", quoted","two\nlines"',
  )
})
