/** What the console's API speaks. The server's side is `cloud/console/src/api`. */

export type Phase = 'creating' | 'running' | 'waiting' | 'error' | 'stopped' | 'deleting'
export type Protocol = 'HTTP' | 'GRPC' | 'WS' | 'TCP' | 'UDP'

export interface Port {
  port: number
  protocol: Protocol
  public: boolean
  /** A host of the user's own; the cloud makes one when absent. */
  host?: string
}

/** A text, or a key of a Secret or ConfigMap as `name/key`. */
export type EnvValue = string | number | boolean | { secret: string } | { config: string } | { field: string }

export interface ConfigFile {
  path: string
  content: string
}

export interface Storage {
  path: string
  size: string
}

export interface Autoscale {
  min: number
  max: number
  metric: 'cpu' | 'memory'
  /** Percent of the app's size at which another replica starts. */
  percent: number
}

export interface RegistryLogin {
  server: string
  username: string
  password: string
}

/** The database of an app: an engine, or more. One of the name that exists is used as it is. */
export interface AppDatabase {
  engine: string
  name?: string
  version?: string
  replicas?: number
  cpu?: string
  memory?: string
  storage?: string
  /** True for a backup a night, or a cron line. */
  backup?: boolean | string
}

/** The bucket of an app. */
export interface AppBucket {
  name: string
  policy?: 'private' | 'publicRead' | 'publicReadwrite'
}

/** What a person asks for. What is left out keeps its default. */
export interface AppSpec {
  name: string
  image?: string
  command?: string[]
  args?: string[]
  cpu?: string
  memory?: string
  replicas?: number
  autoscale?: Autoscale
  ports?: Port[]
  env?: Record<string, EnvValue>
  files?: ConfigFile[]
  storage?: Storage[]
  registry?: RegistryLogin
  database?: string | AppDatabase
  bucket?: string | AppBucket
  remark?: string
}

/** Where a port is reached from outside. */
export interface Address {
  url: string
  port: number
}

/** What is there. */
export interface App {
  name: string
  workspace: string
  image: string
  phase: Phase
  /** Why the app is in its phase, in plain words; empty when there is nothing to say. */
  message: string
  kind: string
  replicas: { desired: number; ready: number; updated: number }
  urls: Address[]
  cpu: string | null
  memory: string | null
  createdAt: string | null
  pods: Pod[]
  remark: string | null
}

export interface Pod {
  name: string
  /** The phase, or the reason why it waits. */
  phase: string
  ready: boolean
  restarts: number
  node: string | null
  ip: string | null
  containers: string[]
  createdAt: string | null
}

export interface AppEvent {
  id: string
  type: 'Normal' | 'Warning'
  reason: string
  message: string
  object: string
  count: number
  at: string
}

/** Samples over time: one row of numbers per series, aligned with `at` (seconds since 1970). */
export interface Series {
  at: number[]
  cpuMillis: (number | null)[]
  memoryBytes: (number | null)[]
}

/** The samples of an app's pods, pods of earlier versions included. */
export interface AppMetrics {
  at: number[]
  pods: Record<string, Omit<Series, 'at'>>
}

export type WorkspaceMetrics = Record<string, Series>

export interface Capacity {
  nodes: number
  cpuMillis: { total: number; used: number; requested: number }
  memoryBytes: { total: number; used: number; requested: number }
  pods: { total: number; used: number }
  /** What volumes may take of the disks; absent where nobody can tell. */
  storageBytes?: { total: number; used: number; requested: number }
}

export interface Session {
  user: string
  domain: string
  version: string
  workspaces: string[]
}

/** What a deploy would create. */
export interface Preview {
  /** The objects. */
  yaml: string
  /** The same as a `sealos.yaml`. */
  manifest: string
  command: string
}

export interface FieldError {
  field: string
  message: string
}

export interface ErrorBody {
  error: { code: string; message: string; detail?: string; fields?: FieldError[] }
}

/** What the live stream of a workspace carries: everything at first, then what changes. */
export type Live = { type: 'apps'; apps: App[] } | { type: 'app'; app: App } | { type: 'gone'; name: string }

/** One line of a log, as the log socket carries it. */
export interface LogLine {
  pod: string
  at: string
  text: string
}

export type LogMessage =
  | { type: 'lines'; lines: LogLine[] }
  | { type: 'pods'; pods: string[] }
  | { type: 'note'; pod: string; text: string }
  | { type: 'end' }
