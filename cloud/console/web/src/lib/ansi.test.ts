import { expect, test } from 'vitest'
import { plain, spans } from './ansi'

const ESC = '\u001B'

test('keeps colours and drops the rest', () => {
  expect(spans(`${ESC}[31mred${ESC}[0m plain ${ESC}[2K${ESC}[1;32mgreen`)).toEqual([
    { text: 'red', classes: ['c1'] },
    { text: ' plain ', classes: [] },
    { text: 'green', classes: ['c2', 'bold'] },
  ])
})

test('plain text has no escapes', () => {
  expect(plain(`${ESC}]0;title\u0007${ESC}[33mwarn${ESC}[39m!`)).toBe('warn!')
})
