/** Rows as a CSV file that spreadsheets read. */

const field = (value: unknown): string => {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export const toCsv = (columns: string[], rows: unknown[][]): string =>
  [columns, ...rows].map(row => row.map(field).join(',')).join('\r\n')
