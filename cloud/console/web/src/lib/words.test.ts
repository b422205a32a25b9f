import { expect, test } from 'vitest'
import { joinWords, splitWords } from './words'

test('splits as a shell does', () => {
  expect(splitWords(`serve --name 'two words' "a \\"b\\"" c\\ d ''`)).toEqual([
    'serve',
    '--name',
    'two words',
    'a "b"',
    'c d',
    '',
  ])
  expect(splitWords('  ')).toEqual([])
})

test('names an open quote', () => {
  expect(splitWords(`echo "oops`)).toEqual({ error: 'A double quote is not closed' })
})

test('what is joined splits back', () => {
  const words = ['sh', '-c', `echo "it's $HOME"`, '']
  expect(splitWords(joinWords(words))).toEqual(words)
})
