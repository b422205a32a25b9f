/** Splits a command line the way a shell would, without expanding anything. */

/** The words, or a message when a quote is left open. */
export const splitWords = (text: string): string[] | { error: string } => {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i] ?? ''
    if (quote) {
      if (c === quote) quote = undefined
      else if (c === '\\' && quote === '"' && /["\\$`]/.test(text[i + 1] ?? ''))
        word = (word ?? '') + text[(i += 1)]
      else word = (word ?? '') + c
    } else if (c === '"' || c === "'") {
      quote = c
      word ??= ''
    } else if (c === '\\' && i + 1 < text.length) {
      word = (word ?? '') + text[(i += 1)]
    } else if (/\s/.test(c)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + c
    }
  }
  if (quote) return { error: `A ${quote === '"' ? 'double' : 'single'} quote is not closed` }
  if (word !== undefined) words.push(word)
  return words
}

/** The other way round: quotes only what needs it. */
export const joinWords = (words: string[]): string =>
  words.map(word => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
