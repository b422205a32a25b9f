/** Times as inputs of the browser want them. */

const two = (value: number) => String(value).padStart(2, '0')

/** The value of a `datetime-local` input, to the second, where the reader is. */
export const localInput = (iso: string): string => {
  const at = new Date(iso)
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}
