/**
 * The databases of the mock. Known inputs make errors: the name `conflict` is taken, the statement
 * `boom` is refused by the engine, storage below what is there is refused as the real one does.
 */

import type { Backup, Database, DatabaseSpec, Member, Parameter, QueryResult } from '../src/api/databases'
import type { Backups, DatabaseMetrics, Schedule } from '../src/api/databases'
import type { AppEvent } from '../src/api/types'
import { parseBytes } from '../src/lib/units.ts'
import { engines, parametersOf } from './engines.ts'
import type { Answer } from './world.ts'

const START_MS = 3_000
const DAY = 86_400_000

interface Entry {
  spec: DatabaseSpec
  since: number
  createdAt: number
  stopped: boolean
  primary: number
  external: boolean
  password: string
  parameters: Parameter[]
  backups: Backup[]
}

const ok = (body: unknown): Answer => ({ status: 200, body })
const refuse = (status: number, code: string, message: string, field?: string): Answer => ({
  status,
  body: { error: { code, message, ...(field ? { fields: [{ field, message }] } : {}) } },
})

const NIGHTLY: Schedule = { enabled: true, cron: '0 3 * * *', timeZone: 'Europe/Berlin', keepDays: 7 }

const seed = (
  name: string,
  engine: string,
  version: string,
  more: Partial<DatabaseSpec> = {},
): DatabaseSpec => ({
  name,
  engine,
  version,
  replicas: 1,
  cpu: '1',
  memory: '1Gi',
  storage: '10Gi',
  sync: false,
  schedule: NIGHTLY,
  ...more,
})

export class Databases {
  #entries = new Map<string, Entry>()

  constructor(readonly now: () => number = Date.now) {
    const orders = seed('orders', 'postgresql', '16', { replicas: 3, cpu: '2', memory: '4Gi', sync: true })
    this.#add(orders, 12 * DAY)
    this.#add(
      seed('sessions', 'redis', '7.2', { cpu: '500m', memory: '512Mi', storage: '2Gi', schedule: null }),
      3 * DAY,
    )
    this.#add(seed('legacy', 'mariadb', '10.11', { storage: '20Gi' }), 90 * DAY).stopped = true
  }

  #add(spec: DatabaseSpec, ago: number): Entry {
    const at = this.now() - ago
    const entry: Entry = {
      spec,
      since: at,
      createdAt: at,
      stopped: false,
      primary: 0,
      external: false,
      password: 'k7w2-tide-quartz-91',
      parameters: parametersOf(spec.engine),
      backups: ago > DAY && spec.schedule ? [3, 2, 1].map(days => this.#backup(spec.name, days * DAY)) : [],
    }
    this.#entries.set(spec.name, entry)
    return entry
  }

  #backup(name: string, ago: number): Backup {
    const started = this.now() - ago
    return {
      name: `${name}-${new Date(started).toISOString().slice(0, 19).replaceAll(/\D/g, '')}`,
      phase: 'done',
      method: 'full',
      startedAt: new Date(started).toISOString(),
      finishedAt: new Date(started + 41_000).toISOString(),
      sizeBytes: 318 * 1024 ** 2,
      expiresAt: new Date(started + 7 * DAY).toISOString(),
      message: '',
      drill: null,
    }
  }

  #member(entry: Entry, i: number): Member {
    const up = this.now() - entry.since > START_MS * (1 + i * 0.4)
    const lag = i === entry.primary ? null : 0.02 * (i + 1)
    return {
      pod: `${entry.spec.name}-${entry.spec.engine}-${i}`,
      role: up ? (i === entry.primary ? 'primary' : 'secondary') : null,
      ready: up,
      phase: up ? 'Running' : 'ContainerCreating',
      restarts: 0,
      lagSeconds: lag,
      lagBytes: lag === null ? null : i * 4096,
      createdAt: new Date(entry.since).toISOString(),
    }
  }

  #view(entry: Entry): Database {
    const { spec } = entry
    const members = entry.stopped
      ? []
      : Array.from({ length: spec.replicas }, (_, i) => this.#member(entry, i))
    const ready = members.filter(member => member.ready).length
    const phase = entry.stopped ? 'stopped' : ready < spec.replicas ? 'creating' : 'running'
    return {
      name: spec.name,
      workspace: 'default',
      engine: spec.engine,
      version: spec.version,
      phase,
      message: phase === 'creating' ? `${ready} of ${spec.replicas} replicas are ready` : '',
      note: null,
      replicas: { desired: entry.stopped ? 0 : spec.replicas, ready },
      cpu: spec.cpu,
      memory: spec.memory,
      storage: spec.storage,
      sync: spec.sync,
      members,
      external: entry.external ? 'localhost:31432' : null,
      createdAt: new Date(entry.createdAt).toISOString(),
    }
  }

  /** The names of the pods, for logs. */
  pods(name: string): string[] {
    const entry = this.#entries.get(name)
    return entry ? this.#view(entry).members.map(({ pod }) => pod) : []
  }

  #create(spec: DatabaseSpec): Answer {
    if (this.#entries.has(spec.name) || spec.name === 'conflict')
      return refuse(409, 'AlreadyExists', `“${spec.name}” is taken in the workspace “default”`, 'name')
    return { status: 201, body: this.#view(this.#add(spec, 0)) }
  }

  #connection({ spec, password, external }: Entry) {
    const engine = engines.find(({ name }) => name === spec.engine)
    const host = `${spec.name}-${spec.engine}.default.svc.cluster.local`
    const port = engine?.defaultPort ?? 5432
    const user = spec.engine === 'postgresql' ? 'postgres' : spec.engine === 'redis' ? 'default' : 'root'
    const scheme = spec.engine === 'mariadb' ? 'mysql' : spec.engine
    return {
      user,
      password,
      host,
      port,
      database: spec.engine === 'postgresql' ? 'postgres' : null,
      url: `${scheme}://${user}:${password}@${host}:${port}`,
      externalUrl: external ? `${scheme}://${user}:${password}@localhost:31432` : null,
      secret: `${spec.name}-conn-credential`,
    }
  }

  #metrics(entry: Entry): DatabaseMetrics {
    const end = Math.floor(this.now() / 5_000) * 5
    const at = Array.from({ length: 360 }, (_, i) => end - (359 - i) * 5)
    const wave = (middle: number, swing: number, slow: number) =>
      at.map(t => Math.max(0, middle + swing * Math.sin(t / slow) + swing * 0.3 * Math.sin(t / 17)))
    return {
      at,
      maxConnections: 100,
      series: {
        connections: wave(24, 9, 210).map(Math.round),
        transactionsPerSecond: wave(340, 120, 160),
        cacheHitRate: wave(0.985, 0.006, 300),
        ...(entry.spec.replicas > 1 ? { replicationLagSeconds: wave(0.03, 0.02, 90) } : {}),
        storageBytes: at.map((_, i) => 1.9e9 + i * 2e5),
      },
    }
  }

  #query(entry: Entry, text: string): Answer {
    if (/boom/.test(text)) return refuse(422, 'Refused', 'syntax error at or near "boom"')
    const commands = entry.spec.engine === 'redis'
    const result: QueryResult = commands
      ? { columns: ['reply'], rows: [['PONG']], message: '', tookMillis: 1, cut: false }
      : {
          columns: ['id', 'customer', 'total', 'placed_at', 'note'],
          rows: Array.from({ length: 8 }, (_, i) => [
            1_174 + i,
            ['Ada', 'Grace', 'Linus', 'Barbara'][i % 4],
            (i * 13.37 + 20).toFixed(2),
            new Date(this.now() - i * 3_600_000).toISOString(),
            i % 3 === 0 ? null : 'gift',
          ]),
          message: '8 rows',
          tookMillis: 4,
          cut: false,
        }
    return ok(result)
  }

  #backups(entry: Entry): Backups {
    const done = entry.backups.filter(({ phase }) => phase === 'done')
    const oldest = done.map(({ finishedAt }) => finishedAt ?? '').toSorted()[0]
    const engine = engines.find(({ name }) => name === entry.spec.engine)
    return {
      schedule: entry.spec.schedule ?? { ...NIGHTLY, enabled: false },
      window:
        oldest && engine?.pointInTime
          ? { from: oldest, to: new Date(this.now() - 4_000).toISOString() }
          : null,
      drill:
        done.length > 0
          ? {
              ok: true,
              at: new Date(this.now() - 9 * 3_600_000).toISOString(),
              tookSeconds: 14,
              detail: '23 tables, 48,112 rows',
            }
          : null,
      backups: entry.backups.toSorted((a, b) => (b.startedAt ?? '').localeCompare(a.startedAt ?? '')),
    }
  }

  #events({ spec, createdAt }: Entry): AppEvent[] {
    const event = (
      reason: string,
      message: string,
      after: number,
      type: AppEvent['type'] = 'Normal',
    ): AppEvent => ({
      id: reason,
      type,
      reason,
      message,
      object: `Cluster/${spec.name}`,
      count: 1,
      at: new Date(createdAt + after).toISOString(),
    })
    return [
      event('Ready', `${spec.replicas} of ${spec.replicas} replicas are ready`, 3_000),
      event('PrimaryElected', `${spec.name}-${spec.engine}-0 takes writes`, 2_200),
      event('Created', `Created ${spec.engine} ${spec.version}`, 0),
    ]
  }

  #look(entry: Entry, part: string): Answer | undefined {
    switch (part) {
      case 'connection':
        return ok(this.#connection(entry))
      case 'metrics':
        return ok(this.#metrics(entry))
      case 'events':
        return ok(this.#events(entry))
      case 'slow':
        return ok([
          {
            statement: 'SELECT * FROM orders JOIN lines ON lines.order_id = orders.id WHERE placed_at > $1',
            calls: 912,
            totalMillis: 402_112,
            meanMillis: 441,
            rows: 80_112,
          },
          {
            statement: 'UPDATE stock SET count = count - $1 WHERE sku = $2',
            calls: 48_112,
            totalMillis: 96_224,
            meanMillis: 2,
            rows: 48_112,
          },
        ])
      case 'parameters':
        return ok(entry.parameters)
      case 'backups':
        return ok(this.#backups(entry))
      default:
        return undefined
    }
  }

  #restart(entry: Entry, change: () => void): Answer {
    change()
    entry.since = this.now()
    return ok(this.#view(entry))
  }

  #do(entry: Entry, verb: string, body: Record<string, unknown>): Answer | undefined {
    const { spec } = entry
    switch (verb) {
      case 'scale':
        return this.#restart(entry, () => (spec.replicas = Number(body['replicas'])))
      case 'resize':
        return this.#restart(entry, () => Object.assign(spec, body))
      case 'grow': {
        const storage = String(body['storage'])
        if ((parseBytes(storage) ?? 0) < (parseBytes(spec.storage) ?? 0))
          return refuse(422, 'Invalid', `storage can grow, not shrink: it has ${spec.storage}`, 'storage')
        spec.storage = storage
        return ok(this.#view(entry))
      }
      case 'restart':
        return this.#restart(entry, () => undefined)
      case 'stop':
        entry.stopped = true
        return ok(this.#view(entry))
      case 'start':
        return this.#restart(entry, () => (entry.stopped = false))
      case 'switchover':
        entry.primary = (entry.primary + 1) % spec.replicas
        return ok(this.#view(entry))
      case 'password':
        entry.password = `tide-${Math.floor(this.now() / 1000).toString(36)}`
        return ok(this.#view(entry))
      case 'external':
        entry.external = body['on'] === true
        return ok(this.#view(entry))
      case 'query':
        return this.#query(entry, String(body['text']))
      case 'backups':
        entry.backups.push(this.#backup(spec.name, 0))
        return { status: 204 }
      case 'drill':
        return { status: 204 }
      case 'restore':
        return this.#create({ ...spec, name: String(body['to']) })
      default:
        return undefined
    }
  }

  #put(entry: Entry, part: string, body: Record<string, unknown>): Answer | undefined {
    if (part === 'schedule') {
      // The client sends a whole schedule here.
      entry.spec.schedule = body as unknown as Schedule
      return { status: 204 }
    }
    if (part !== 'parameters') return undefined
    const values = new Map(Object.entries(body['values'] ?? {}))
    if (values.get('work_mem') === 'lots')
      return refuse(422, 'Invalid', '`work_mem` must be a size from 64kB to 2GB, not `lots`', 'work_mem')
    const touched = entry.parameters.filter(({ name }) => values.has(name))
    entry.parameters = entry.parameters.map(one => {
      const value = values.get(one.name)
      return value === undefined ? one : { ...one, value: String(value), changed: true }
    })
    return ok({ needsRestart: touched.some(({ needsRestart }) => needsRestart) })
  }

  answer(method: string, path: string[], body: unknown): Answer | undefined {
    const [name, part, more] = path
    if (name === undefined) {
      // The client sends a whole spec here.
      if (method === 'POST') return this.#create(body as DatabaseSpec)
      return ok(
        [...this.#entries.values()]
          .map(entry => this.#view(entry))
          .toSorted((a, b) => a.name.localeCompare(b.name)),
      )
    }
    const entry = this.#entries.get(name)
    if (!entry) return refuse(404, 'NotFound', `There is no database “${name}” in the workspace “default”`)
    const sent = body !== null && typeof body === 'object' ? (body as Record<string, unknown>) : {}
    if (part === undefined) {
      if (method !== 'DELETE') return ok(this.#view(entry))
      this.#entries.delete(name)
      return { status: 204 }
    }
    if (method === 'DELETE' && part === 'backups') {
      entry.backups = entry.backups.filter(backup => backup.name !== more)
      return { status: 204 }
    }
    if (method === 'PUT') return this.#put(entry, part, sent)
    return method === 'POST' ? this.#do(entry, part, sent) : this.#look(entry, part)
  }
}
