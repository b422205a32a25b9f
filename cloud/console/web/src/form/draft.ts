/**
 * The deploy form's draft: what has been typed, as typed, and the spec it stands for once it is
 * right. Pure, so that every rule can be shown by a test.
 */

import type { AppBucket, AppDatabase, AppSpec, EnvValue, FieldError, Protocol } from '../api/types'
import { cores, parseBytes, parseCpu, quantity } from '../lib/units'
import { joinWords, splitWords } from '../lib/words'

export interface PortDraft {
  key: string
  port: string
  protocol: Protocol
  public: boolean
  /** Whether the host is the user's own rather than the cloud's. */
  ownHost: boolean
  host: string
}

export interface EnvDraft {
  key: string
  name: string
  value: string
  /** Set for a value that a Secret or ConfigMap holds: kept as it is, not edited here. */
  from?: Exclude<EnvValue, string | number | boolean>
}

export interface FileDraft {
  key: string
  path: string
  content: string
}

export interface StorageDraft {
  key: string
  path: string
  size: string
  /** Set for storage that exists: it may grow, never shrink. */
  atLeast?: number
}

export interface Draft {
  image: string
  name: string
  ports: PortDraft[]
  cpu: string
  memory: string
  scaling: 'fixed' | 'auto'
  replicas: string
  min: string
  max: string
  metric: 'cpu' | 'memory'
  percent: string
  env: EnvDraft[]
  files: FileDraft[]
  storage: StorageDraft[]
  command: string
  args: string
  registryOn: boolean
  server: string
  username: string
  password: string
  /** The engine of the app's database; empty without one. */
  database: string
  /** Empty for `<app>-db`. */
  databaseName: string
  databaseReplicas: string
  databaseBackup: boolean
  /** What the request says besides and the form does not show. */
  databaseMore: Partial<AppDatabase>
  bucketOn: boolean
  bucketName: string
  bucketPolicy: NonNullable<AppBucket['policy']>
}

let lastKey = 0
/** Rows keep their identity while they are reordered or removed. */
export const rowKey = (): string => `row-${(lastKey += 1)}`

export const newPort = (port = '80', isPublic = true): PortDraft => ({
  key: rowKey(),
  port,
  protocol: 'HTTP',
  public: isPublic,
  ownHost: false,
  host: '',
})
export const newEnv = (name = '', value = ''): EnvDraft => ({ key: rowKey(), name, value })
export const newFile = (): FileDraft => ({ key: rowKey(), path: '', content: '' })
export const newStorage = (): StorageDraft => ({ key: rowKey(), path: '', size: '1Gi' })

export const emptyDraft = (): Draft => ({
  image: '',
  name: '',
  ports: [newPort()],
  cpu: '0.2',
  memory: '256Mi',
  scaling: 'fixed',
  replicas: '1',
  min: '1',
  max: '5',
  metric: 'cpu',
  percent: '50',
  env: [],
  files: [],
  storage: [],
  command: '',
  args: '',
  registryOn: false,
  server: '',
  username: '',
  password: '',
  database: '',
  databaseName: '',
  databaseReplicas: '1',
  databaseBackup: false,
  databaseMore: {},
  bucketOn: false,
  bucketName: '',
  bucketPolicy: 'private',
})

/** Engines have short names too. */
const ENGINES: Record<string, string> = {
  postgres: 'postgresql',
  pg: 'postgresql',
  valkey: 'redis',
  mongo: 'mongodb',
}

export const engineOf = (name: string): string => ENGINES[name.toLowerCase()] ?? name.toLowerCase()

/** The database that a request asks for, in the long form. */
export const databaseOf = ({ database }: AppSpec): AppDatabase | undefined => {
  if (database === undefined) return undefined
  const asked = typeof database === 'string' ? { engine: database } : database
  return { ...asked, engine: engineOf(asked.engine) }
}

/** The bucket that a request asks for, in the long form. */
export const bucketOf = ({ bucket }: AppSpec): AppBucket | undefined =>
  typeof bucket === 'string' ? { name: bucket } : bucket

/** The name that a database gets when none is given. */
export const databaseNameFor = (app: string): string => `${app || 'name'}-db`

const servicesOf = (spec: AppSpec): Partial<Draft> => {
  const { engine = '', name = '', replicas = 1, backup, ...more } = databaseOf(spec) ?? {}
  const bucket = bucketOf(spec)
  return {
    database: engine,
    databaseName: name,
    databaseReplicas: String(replicas),
    databaseBackup: backup !== undefined && backup !== false,
    databaseMore: { ...more, ...(typeof backup === 'string' ? { backup } : {}) },
    bucketOn: bucket !== undefined,
    bucketName: bucket?.name ?? '',
    bucketPolicy: bucket?.policy ?? 'private',
  }
}

const envOf = ([name, value]: [string, EnvValue]): EnvDraft =>
  typeof value === 'object' ? { ...newEnv(name), from: value } : newEnv(name, String(value))

/** The draft that edits an app that is there. */
export const draftOf = (spec: AppSpec): Draft => ({
  ...emptyDraft(),
  image: spec.image ?? '',
  name: spec.name,
  ports: (spec.ports ?? []).map(port => ({
    key: rowKey(),
    port: String(port.port),
    protocol: port.protocol,
    public: port.public,
    ownHost: port.host !== undefined,
    host: port.host ?? '',
  })),
  cpu: cores(parseCpu(spec.cpu ?? '200m') ?? 200),
  memory: spec.memory ?? '256Mi',
  scaling: spec.autoscale ? 'auto' : 'fixed',
  replicas: String(spec.replicas ?? 1),
  min: String(spec.autoscale?.min ?? 1),
  max: String(spec.autoscale?.max ?? 5),
  metric: spec.autoscale?.metric ?? 'cpu',
  percent: String(spec.autoscale?.percent ?? 50),
  env: Object.entries(spec.env ?? {}).map(envOf),
  files: (spec.files ?? []).map(file => ({ key: rowKey(), ...file })),
  storage: (spec.storage ?? []).map(({ path, size }) => {
    const atLeast = parseBytes(size)
    return { key: rowKey(), path, size, ...(atLeast === undefined ? {} : { atLeast }) }
  }),
  command: joinWords(spec.command ?? []),
  args: joinWords(spec.args ?? []),
  registryOn: spec.registry !== undefined,
  server: spec.registry?.server ?? '',
  username: spec.registry?.username ?? '',
  password: spec.registry?.password ?? '',
  ...servicesOf(spec),
})

/** A name the image suggests: `ghcr.io/acme/Shop_API:1.2` gives `shop-api`. */
export const nameFor = (image: string, taken: ReadonlySet<string>): string => {
  const last = image.split('@')[0]?.split('/').at(-1)?.split(':')[0] ?? ''
  const base = last
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 25)
  const name = base.replace(/-+$/, '')
  if (name === '' || !taken.has(name)) return name
  for (let n = 2; ; n += 1) {
    const next = `${name.slice(0, 22)}-${n}`
    if (!taken.has(next)) return next
  }
}

const whole = (text: string): number | undefined => (/^\d+$/.test(text.trim()) ? Number(text) : undefined)

const words = (text: string): string[] => {
  const split = splitWords(text)
  return Array.isArray(split) ? split : []
}

const scaleOf = (draft: Draft): Pick<AppSpec, 'replicas' | 'autoscale'> =>
  draft.scaling === 'fixed'
    ? { replicas: whole(draft.replicas) ?? 0 }
    : {
        autoscale: {
          min: whole(draft.min) ?? 0,
          max: whole(draft.max) ?? 0,
          metric: draft.metric,
          percent: whole(draft.percent) ?? 0,
        },
      }

/** What is as it would be anyway is left out: one word is enough for most. */
const databaseSpec = (draft: Draft): string | AppDatabase => {
  const name = draft.databaseName.trim()
  const replicas = whole(draft.databaseReplicas) ?? 0
  const { backup, ...more } = draft.databaseMore
  const details = {
    ...more,
    ...(name === '' || name === databaseNameFor(draft.name.trim()) ? {} : { name }),
    ...(replicas === 1 ? {} : { replicas }),
    ...(draft.databaseBackup ? { backup: backup ?? true } : {}),
  }
  return Object.keys(details).length === 0 ? draft.database : { engine: draft.database, ...details }
}

const servicesSpec = (draft: Draft): Pick<AppSpec, 'database' | 'bucket'> => {
  const name = draft.bucketName.trim()
  const bucket = draft.bucketPolicy === 'private' ? name : { name, policy: draft.bucketPolicy }
  return {
    ...(draft.database ? { database: databaseSpec(draft) } : {}),
    ...(draft.bucketOn ? { bucket } : {}),
  }
}

/** The request that the draft stands for. Entries that are no numbers become zero: `problems` has named them. */
export const toSpec = (draft: Draft): AppSpec => ({
  name: draft.name.trim(),
  image: draft.image.trim(),
  command: words(draft.command),
  args: words(draft.args),
  cpu: `${parseCpu(draft.cpu) ?? 0}m`,
  memory: quantity(parseBytes(draft.memory) ?? 0),
  ...scaleOf(draft),
  ports: draft.ports.map(port => ({
    port: whole(port.port) ?? 0,
    protocol: port.protocol,
    public: port.public,
    ...(port.public && routed(port) && port.ownHost && port.host.trim() ? { host: port.host.trim() } : {}),
  })),
  env: Object.fromEntries(
    draft.env.filter(env => env.name.trim() !== '').map(env => [env.name.trim(), env.from ?? env.value]),
  ),
  files: draft.files.map(({ path, content }) => ({ path: path.trim(), content })),
  storage: draft.storage.map(({ path, size }) => ({
    path: path.trim(),
    size: quantity(parseBytes(size, 'Gi') ?? 0),
  })),
  ...(draft.registryOn
    ? { registry: { server: draft.server.trim(), username: draft.username.trim(), password: draft.password } }
    : {}),
  ...servicesSpec(draft),
})

/** Whether the gateway routes the port by a host name. */
export const routed = (port: PortDraft): boolean => port.protocol !== 'TCP' && port.protocol !== 'UDP'

/** The server's name of a field, as the form calls it: `ports[0].port` is `ports.0.port`, `env.A` a row. */
export const fieldOf = ({ field }: FieldError, draft: Draft): string => {
  const row = draft.env.findIndex(env => field === `env.${env.name.trim()}`)
  if (row >= 0) return `env.${row}.name`
  if (field === 'autoscale') return 'max'
  if (field === 'autoscale.percent') return 'percent'
  if (field === 'registry') return 'username'
  if (field === 'database' || field === 'database.engine') return 'database.name'
  if (field === 'bucket') return 'bucket.name'
  return field.replaceAll(/\[(\d+)\]/g, '.$1')
}
