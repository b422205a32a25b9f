/** What is wrong with a draft, next to the field that is wrong. The server checks all of it again. */

import { parseBytes, parseCpu } from '../lib/units'
import { splitWords } from '../lib/words'
import { routed, type Draft } from './draft'

/** Field → message. Rows are named `ports.0.port`. */
export type Problems = Record<string, string>

const MI = 1024 * 1024
const NO_NAMES: ReadonlySet<string> = new Set()
const MAX_REPLICAS = 100
const IMAGE =
  /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::\d+)?(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/
const ENV_NAME = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/
const HOST = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)+$/

export const nameProblem = (name: string, taken: ReadonlySet<string>): string | undefined => {
  if (name === '') return 'Give it a name'
  if (name.length > 25) return `At most 25 characters; this has ${name.length}`
  if (!/^[a-z]/.test(name)) return 'Begin with a lower-case letter'
  if (/[A-Z]/.test(name)) return 'Use lower-case letters only'
  const odd = /[^a-z0-9-]/.exec(name)?.[0]
  if (odd) return `Letters, digits and hyphens only: “${odd}” cannot be used`
  if (name.endsWith('-')) return 'End with a letter or digit'
  if (taken.has(name)) return `“${name}” is taken in this workspace`
  return undefined
}

/** A bucket's name is part of host names and of the name that S3 clients see. */
export const bucketNameProblem = (name: string): string | undefined => {
  if (name.length === 1 || name.length === 2) return 'At least 3 characters'
  return nameProblem(name, NO_NAMES)
}

export const imageProblem = (image: string): string | undefined => {
  if (image === '') return 'Say which image to run'
  if (/\s/.test(image)) return 'An image name has no spaces'
  if (/^https?:\/\//.test(image)) return 'Leave out “https://”'
  const [name = ''] = image.split(/[:@](?!.*\/)/)
  if (/[A-Z]/.test(name.slice(name.indexOf('/') + 1))) return 'Image names are lower case'
  if (!IMAGE.test(image)) return 'Not an image name. Examples: nginx, ghcr.io/acme/shop:1.2'
  return undefined
}

const wholeProblem = (text: string, from: number, to: number, what: string): string | undefined => {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN
  return value >= from && value <= to ? undefined : `${what} is a whole number from ${from} to ${to}`
}

const pathProblem = (path: string, others: string[]): string | undefined => {
  if (!path.startsWith('/')) return 'Begin with “/”'
  if (path === '/' || path.split('/').includes('..')) return 'Give a path inside the container'
  if (others.filter(other => other === path).length > 1) return 'This path is used twice'
  return undefined
}

const portProblems = (draft: Draft, set: (field: string, message: string | undefined) => void) => {
  for (const [i, port] of draft.ports.entries()) {
    set(`ports.${i}.port`, wholeProblem(port.port, 1, 65_535, 'A port'))
    const transport = (p: typeof port) => (p.protocol === 'UDP' ? 'udp' : 'tcp')
    const same = draft.ports.filter(p => p.port === port.port && transport(p) === transport(port))
    if (same.length > 1) set(`ports.${i}.port`, `Port ${port.port} is listed twice`)
    if (port.public && routed(port) && port.ownHost && !HOST.test(port.host.trim()))
      set(`ports.${i}.host`, 'A host name, as in shop.example.com')
  }
}

const sizeProblems = (draft: Draft, set: (field: string, message: string | undefined) => void) => {
  const cpu = parseCpu(draft.cpu)
  if (cpu === undefined) set('cpu', 'Cores, as 0.5 or 500m')
  else if (cpu < 10 || cpu > 256_000) set('cpu', 'From 0.01 to 256 cores')
  const memory = parseBytes(draft.memory)
  if (memory === undefined) set('memory', 'A size, as 256Mi or 2Gi')
  else if (memory < 8 * MI) set('memory', 'At least 8 MiB')
  if (draft.scaling === 'fixed') {
    set('replicas', wholeProblem(draft.replicas, 0, MAX_REPLICAS, 'Replicas'))
    return
  }
  set('min', wholeProblem(draft.min, 1, MAX_REPLICAS, 'The fewest'))
  set('max', wholeProblem(draft.max, 1, MAX_REPLICAS, 'The most'))
  if (Number(draft.max) < Number(draft.min)) set('max', 'At least as many as the fewest')
  set('percent', wholeProblem(draft.percent, 1, 100, 'The target'))
}

const rowProblems = (draft: Draft, set: (field: string, message: string | undefined) => void) => {
  const names = draft.env.map(env => env.name.trim())
  for (const [i, env] of draft.env.entries()) {
    if (env.name.trim() === '' && env.value === '') continue
    if (!ENV_NAME.test(env.name.trim())) set(`env.${i}.name`, env.name ? 'Not a variable name' : 'Name it')
    else if (names.indexOf(env.name.trim()) !== i) set(`env.${i}.name`, 'Set twice')
  }
  const paths = [...draft.files, ...draft.storage].map(row => row.path.trim())
  for (const [i, file] of draft.files.entries()) {
    set(`files.${i}.path`, pathProblem(file.path.trim(), paths))
    if (file.path.trim().endsWith('/')) set(`files.${i}.path`, 'End with a file name')
    if (file.content.length > MI) set(`files.${i}.content`, 'At most 1 MiB')
  }
  for (const [i, volume] of draft.storage.entries()) {
    set(`storage.${i}.path`, pathProblem(volume.path.trim(), paths))
    const size = parseBytes(volume.size, 'Gi')
    if (size === undefined || size < MI) set(`storage.${i}.size`, 'A size, as 1Gi')
    else if (volume.atLeast && size < volume.atLeast) set(`storage.${i}.size`, 'Storage can grow, not shrink')
  }
}

const serviceProblems = (draft: Draft, set: (field: string, message: string | undefined) => void) => {
  if (draft.database !== '') {
    const name = draft.databaseName.trim()
    if (name !== '') set('database.name', nameProblem(name, NO_NAMES))
    set('database.replicas', wholeProblem(draft.databaseReplicas, 1, 9, 'Replicas'))
  }
  if (draft.bucketOn) set('bucket.name', bucketNameProblem(draft.bucketName.trim()))
}

export const problems = (draft: Draft, taken: ReadonlySet<string>): Problems => {
  const found: Problems = {}
  const set = (field: string, message: string | undefined) => {
    if (message && !(field in found)) found[field] = message
  }
  set('image', imageProblem(draft.image.trim()))
  set('name', nameProblem(draft.name.trim(), taken))
  portProblems(draft, set)
  sizeProblems(draft, set)
  rowProblems(draft, set)
  serviceProblems(draft, set)
  for (const field of ['command', 'args'] as const) {
    const split = splitWords(draft[field])
    if (!Array.isArray(split)) set(field, split.error)
  }
  if (draft.registryOn) {
    if (draft.username.trim() === '') set('username', 'Who logs in to the registry?')
    if (draft.password === '') set('password', 'The registry needs a password or token')
  }
  return found
}
