/** What a file is, by its name: enough to choose a picture and a way to show it. */

export type FileKind = 'image' | 'text' | 'pdf' | 'archive' | 'other'

const KINDS: [FileKind, string][] = [
  ['image', 'png jpg jpeg gif webp avif svg ico bmp'],
  [
    'text',
    'txt md log csv tsv json jsonl yaml yml toml ini conf env xml html htm css js mjs ts tsx jsx py rb go rs java c h cpp sh sql',
  ],
  ['pdf', 'pdf'],
  ['archive', 'zip gz tgz bz2 xz zst tar 7z rar'],
]

const BY_EXTENSION = new Map(KINDS.flatMap(([kind, all]) => all.split(' ').map(one => [one, kind] as const)))

export const kindOf = (key: string): FileKind => {
  const name = key.split('/').at(-1) ?? ''
  if (/^(?:dockerfile|makefile|readme|license)$/i.test(name)) return 'text'
  return BY_EXTENSION.get(name.split('.').at(-1)?.toLowerCase() ?? '') ?? 'other'
}
