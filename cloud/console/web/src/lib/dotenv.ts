/** Reads the text of a `.env` file, as people paste it. */

export interface Pair {
  name: string
  value: string
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$' }

const unquote = (raw: string): string => {
  const quote = raw[0]
  const end = quote === '"' || quote === "'" || quote === '`' ? raw.lastIndexOf(quote) : -1
  if (end > 0) {
    const inner = raw.slice(1, end)
    return quote === '"' ? inner.replaceAll(/\\([nrt"\\$])/g, (_, c: string) => ESCAPES[c] ?? c) : inner
  }
  return raw.replace(/\s+#.*$/, '').trim()
}

/** True when pasted text is worth reading as variables rather than as one value. */
export const looksLikeDotenv = (text: string): boolean =>
  /^\s*(?:export\s+)?[A-Za-z_][\w.-]*\s*=/.test(text) && (text.includes('\n') || /^\s*export\s/.test(text))

/** The variables of the text, in order; the last of two with one name wins. */
export const parseDotenv = (text: string): Pair[] => {
  const pairs = new Map<string, string>()
  const line =
    /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*("(?:\\.|[^"\\])*"|'[^']*'|`[^`]*`|[^\n]*)/gm
  for (const match of text.replaceAll('\r\n', '\n').matchAll(line)) {
    const [, name, raw] = match
    if (name !== undefined) pairs.set(name, unquote((raw ?? '').trim()))
  }
  return [...pairs].map(([name, value]) => ({ name, value }))
}

/** The other way round, for copying. */
export const formatDotenv = (pairs: Pair[]): string =>
  pairs
    .map(({ name, value }) =>
      /^[\w./:@%+,-]*$/.test(value) ? `${name}=${value}` : `${name}=${JSON.stringify(value)}`,
    )
    .join('\n')
