import { expect, test } from 'vitest'
import { formatDotenv, looksLikeDotenv, parseDotenv } from './dotenv'

test('reads what people paste', () => {
  const text = `# a comment
export A=1
B = two words # and a remark
C="line\\nbreak" 
D='as $it is'
E=
F=https://example.com/#anchor
A=last
`
  expect(parseDotenv(text)).toEqual([
    { name: 'A', value: 'last' },
    { name: 'B', value: 'two words' },
    { name: 'C', value: 'line\nbreak' },
    { name: 'D', value: 'as $it is' },
    { name: 'E', value: '' },
    { name: 'F', value: 'https://example.com/#anchor' },
  ])
})

test('reads a key that spans lines', () => {
  const pairs = parseDotenv('KEY="-----BEGIN\nabc\n-----END"\nNEXT=1')
  expect(pairs).toEqual([
    { name: 'KEY', value: '-----BEGIN\nabc\n-----END' },
    { name: 'NEXT', value: '1' },
  ])
})

test('one value is not a file', () => {
  expect(looksLikeDotenv('postgres://user:pw@host/db?a=b')).toBe(false)
  expect(looksLikeDotenv('NAME')).toBe(false)
  expect(looksLikeDotenv('A=1\nB=2')).toBe(true)
})

test('what is written reads back', () => {
  const pairs = [
    { name: 'A', value: 'plain' },
    { name: 'B', value: 'two words, "quoted" and\na line' },
  ]
  expect(parseDotenv(formatDotenv(pairs))).toEqual(pairs)
})
