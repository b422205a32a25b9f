/** Databases as the console's API speaks of them. The server's side is `cloud/console/src/api/databases`. */

import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import { request } from './client'
import type { AppEvent, Phase } from './types'

/** An engine that can be had, as the create form offers it. */
export interface Engine {
  name: string
  title: string
  /** How one talks to it: tables and SQL, commands, or documents. */
  language: 'sql' | 'commands' | 'documents'
  /** Newest first; the first is the default. */
  versions: string[]
  about: string
  /** Whether commits can wait for a replica. */
  canSync: boolean
  /** Whether a backup can be brought back to any second of its window. */
  pointInTime: boolean
  defaultPort: number
}

/** When backups are made, and how long they are kept. */
export interface Schedule {
  enabled: boolean
  /** Five fields of cron. */
  cron: string
  timeZone: string
  keepDays: number
}

/** What a person asks for. */
export interface DatabaseSpec {
  name: string
  engine: string
  version: string
  replicas: number
  cpu: string
  memory: string
  storage: string
  sync: boolean
  schedule: Schedule | null
}

/** One copy of the data. */
export interface Member {
  pod: string
  role: 'primary' | 'secondary' | null
  ready: boolean
  /** How it is, in Kubernetes' words. */
  phase: string
  restarts: number
  lagSeconds: number | null
  lagBytes: number | null
  createdAt: string | null
}

export interface Database {
  name: string
  workspace: string
  engine: string
  version: string
  phase: Phase
  /** Why it is in its phase; empty when there is nothing to say. */
  message: string
  /** What the user should know of what was made, as another minor version. */
  note: string | null
  replicas: { desired: number; ready: number }
  cpu: string
  memory: string
  storage: string
  sync: boolean
  members: Member[]
  /** Where it is reached from outside of the cloud; null while that is switched off. */
  external: string | null
  createdAt: string | null
}

export interface Connection {
  user: string
  password: string
  host: string
  port: number
  database: string | null
  /** With the password in it. */
  url: string
  externalUrl: string | null
  /** The Secret that apps refer to. */
  secret: string
}

/** Samples on one axis of time (seconds since 1970); which series there are depends on the engine. */
export interface DatabaseMetrics {
  at: number[]
  series: Record<string, (number | null)[]>
  maxConnections: number | null
}

export interface QueryResult {
  columns: string[]
  rows: unknown[][]
  message: string
  tookMillis: number
  /** True when there were more rows than the page is sent. */
  cut: boolean
}

export interface SlowQuery {
  statement: string
  calls: number
  totalMillis: number
  meanMillis: number
  rows: number | null
}

export interface Drill {
  ok: boolean
  at: string
  tookSeconds: number | null
  detail: string
}

export interface Backup {
  name: string
  phase: 'running' | 'done' | 'failed' | 'deleting'
  method: string
  startedAt: string | null
  finishedAt: string | null
  sizeBytes: number | null
  expiresAt: string | null
  message: string
  drill: Drill | null
}

export interface Backups {
  schedule: Schedule
  /** The times that a restore can go back to; null without a log archive. */
  window: { from: string; to: string } | null
  drill: Drill | null
  backups: Backup[]
}

export interface Parameter {
  name: string
  value: string
  /** What it is when nobody sets it. */
  default: string
  about: string
  /** What it may be, in words. */
  allowed: string
  needsRestart: boolean
  changed: boolean
}

const list = (ws: string) => `/workspaces/${encodeURIComponent(ws)}/databases`
const one = (ws: string, name: string) => `${list(ws)}/${encodeURIComponent(name)}`

export const databases = {
  create: (ws: string, spec: DatabaseSpec) => request<Database>('POST', list(ws), spec),
  /** What is sent with a verb is what the verb needs, and nothing else. */
  act: (ws: string, name: string, verb: string, body?: unknown) =>
    request<Database>('POST', `${one(ws, name)}/${verb}`, body),
  query: (ws: string, name: string, text: string, database: string) =>
    request<QueryResult>('POST', `${one(ws, name)}/query`, { text, database }),
  setParameters: (ws: string, name: string, values: Record<string, string>) =>
    request<{ needsRestart: boolean }>('PUT', `${one(ws, name)}/parameters`, { values }),
  backUp: (ws: string, name: string) => request<void>('POST', `${one(ws, name)}/backups`),
  deleteBackup: (ws: string, name: string, backup: string) =>
    request<void>('DELETE', `${one(ws, name)}/backups/${encodeURIComponent(backup)}`),
  drill: (ws: string, name: string) => request<void>('POST', `${one(ws, name)}/drill`),
  restore: (ws: string, name: string, what: { to: string; backup?: string; time?: string }) =>
    request<Database>('POST', `${one(ws, name)}/restore`, what),
  setSchedule: (ws: string, name: string, schedule: Schedule) =>
    request<void>('PUT', `${one(ws, name)}/schedule`, schedule),
  delete: (ws: string, name: string, keepBackup: boolean) =>
    request<void>('DELETE', `${one(ws, name)}?keepBackup=${keepBackup}`),
  path: one,
}

const settled = (database: Database) => database.phase === 'running' || database.phase === 'stopped'

export const enginesQuery = () =>
  queryOptions({
    queryKey: ['engines'],
    queryFn: ({ signal }) => request<Engine[]>('GET', '/engines', undefined, signal),
    staleTime: Infinity,
  })

/** Asked often while something changes, seldom while nothing does. */
export const databasesQuery = (ws: string) =>
  queryOptions({
    queryKey: ['databases', ws],
    queryFn: ({ signal }) => request<Database[]>('GET', list(ws), undefined, signal),
    refetchInterval: ({ state }) => (state.data?.every(settled) === false ? 1_500 : 8_000),
  })

export const databaseQuery = (ws: string, name: string) =>
  queryOptions({
    queryKey: ['database', ws, name],
    queryFn: ({ signal }) => request<Database>('GET', one(ws, name), undefined, signal),
    refetchInterval: ({ state }) => (state.data && !settled(state.data) ? 1_200 : 4_000),
  })

const part =
  <T>(what: string, refetchInterval: number | false) =>
  (ws: string, name: string) =>
    queryOptions({
      queryKey: ['database', ws, name, what],
      queryFn: ({ signal }) => request<T>('GET', `${one(ws, name)}/${what}`, undefined, signal),
      refetchInterval,
      placeholderData: keepPreviousData,
    })

export const connectionQuery = part<Connection>('connection', false)
export const databaseMetricsQuery = part<DatabaseMetrics>('metrics', 5_000)
export const databaseEventsQuery = part<AppEvent[]>('events', 5_000)
export const slowQuery = part<SlowQuery[]>('slow', 10_000)
export const parametersQuery = part<Parameter[]>('parameters', false)
export const backupsQuery = part<Backups>('backups', 4_000)
