/** The files of a drop, those in dropped directories included, with their paths. */

export interface Dropped {
  path: string
  file: File
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> =>
  new Promise((resolve, reject) => entry.file(resolve, reject))

const entriesOf = (reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> =>
  new Promise((resolve, reject) => reader.readEntries(resolve, reject))

const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile
const isDirectory = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory

const walk = async (entry: FileSystemEntry): Promise<Dropped[]> => {
  if (isFile(entry)) return [{ path: entry.fullPath.replace(/^\//, ''), file: await fileOf(entry) }]
  if (!isDirectory(entry)) return []
  const reader = entry.createReader()
  const found: Dropped[] = []
  // A reader hands out its entries in parts, and an empty part at the end.
  for (let part = await entriesOf(reader); part.length > 0; part = await entriesOf(reader))
    for (const below of part) found.push(...(await walk(below)))
  return found
}

export const dropped = async (transfer: DataTransfer): Promise<Dropped[]> => {
  // Entries must be taken before the first wait: the drop is empty afterwards.
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry()).filter(entry => entry !== null)
  if (entries.length === 0) return [...transfer.files].map(file => ({ path: file.name, file }))
  const found: Dropped[] = []
  for (const entry of entries) found.push(...(await walk(entry)))
  return found
}
