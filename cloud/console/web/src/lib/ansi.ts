/** Colours that programs write into their logs, as classes; everything else a terminal does is dropped. */

export interface Span {
  text: string
  /** `c1` to `c6` for the hues, `bold`, `dim`. */
  classes: string[]
}

// eslint-disable-next-line no-control-regex
const ESCAPE = /\u001B(?:\[([0-9;]*)m|\[[0-9;?]*[A-Za-ln-z]|\][^\u0007]*(?:\u0007|\u001B\\)|[@-Z\\-_])/g

const apply = (codes: string, state: { hue: number; bold: boolean; dim: boolean }): void => {
  for (const code of codes === '' ? [0] : codes.split(';').map(Number)) {
    if (code === 0) Object.assign(state, { hue: 0, bold: false, dim: false })
    else if (code === 1) state.bold = true
    else if (code === 2 || code === 90) state.dim = true
    else if (code === 22) Object.assign(state, { bold: false, dim: false })
    else if (code === 39) state.hue = 0
    else if (code >= 31 && code <= 36) state.hue = code - 30
    else if (code >= 91 && code <= 96) state.hue = code - 90
  }
}

/** The pieces of a line that look alike. */
export const spans = (line: string): Span[] => {
  if (!line.includes('\u001B')) return [{ text: line, classes: [] }]
  const state = { hue: 0, bold: false, dim: false }
  const out: Span[] = []
  const push = (text: string) => {
    if (text === '') return
    const classes = [state.hue ? `c${state.hue}` : '', state.bold ? 'bold' : '', state.dim ? 'dim' : '']
    out.push({ text, classes: classes.filter(Boolean) })
  }
  let from = 0
  for (const match of line.matchAll(ESCAPE)) {
    push(line.slice(from, match.index))
    from = match.index + match[0].length
    if (match[1] !== undefined) apply(match[1], state)
  }
  push(line.slice(from))
  return out
}

export const plain = (line: string): string =>
  spans(line)
    .map(({ text }) => text)
    .join('')
