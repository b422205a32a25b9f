/**
 * A small cloud in memory, for demos and tests. It is honest about time: apps take a moment to
 * start. Errors come from known inputs, so that a demo can show them:
 *
 * - an image containing `missing` is never found, one containing `crash` never stays up;
 * - the name `conflict` is refused by the server, the image `boom` breaks it.
 */

import type {
  App,
  AppEvent,
  AppMetrics,
  AppSpec,
  Capacity,
  Pod,
  Series,
  WorkspaceMetrics,
} from '../src/api/types'
import { parseBytes, parseCpu } from '../src/lib/units.ts'
import { Buckets } from './buckets.ts'
import { Databases } from './databases.ts'
import { seeds, type Full } from './seeds.ts'

const START_MS = 2_500
const SAMPLES = 240
const INTERVAL = 15

interface Entry {
  spec: Full
  stopped: boolean
  since: number
  createdAt: string
  generation: string
}

export type Answer = { status: number; body?: unknown }

const refuse = (status: number, code: string, message: string, detail?: string, field?: string): Answer => ({
  status,
  body: { error: { code, message, detail, ...(field ? { fields: [{ field, message }] } : {}) } },
})

/** A number between 0 and 1 that stays the same for the same words. */
const hash = (text: string): number => {
  let h = 2166136261
  for (const c of text) h = Math.imul(h ^ (c.codePointAt(0) ?? 0), 16777619)
  return ((h >>> 0) % 10_000) / 10_000
}

const suffix = (text: string) =>
  Math.floor(hash(text) * 60_466_176)
    .toString(36)
    .padStart(5, 'k')
    .slice(0, 5)

/** A request with the defaults filled in. */
export const full = (spec: AppSpec): Full => ({
  ...spec,
  image: spec.image ?? '',
  cpu: spec.cpu ?? '200m',
  memory: spec.memory ?? '256Mi',
  ports: spec.ports ?? [],
  env: spec.env ?? {},
  files: spec.files ?? [],
  storage: spec.storage ?? [],
})

export class World {
  readonly domain = 'localhost'
  readonly databases: Databases
  readonly buckets: Buckets
  #entries = new Map<string, Entry>()
  #listeners = new Set<() => void>()

  constructor(readonly now: () => number = Date.now) {
    this.databases = new Databases(now)
    this.buckets = new Buckets(now)
    for (const { spec, hoursAgo, stopped } of seeds) {
      const since = now() - hoursAgo * 3_600_000
      const createdAt = new Date(since).toISOString()
      this.#entries.set(spec.name, { spec, stopped: stopped ?? false, since, createdAt, generation: 'a' })
    }
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
    setTimeout(() => {
      for (const listener of this.#listeners) listener()
    }, START_MS + 50)
  }

  #fault(entry: Entry): 'image' | 'crash' | undefined {
    if (entry.spec.image.includes('missing')) return 'image'
    return entry.spec.image.includes('crash') ? 'crash' : undefined
  }

  pods(name: string): Pod[] {
    const entry = this.#entries.get(name)
    if (!entry || entry.stopped) return []
    return Array.from({ length: entry.spec.replicas ?? entry.spec.autoscale?.min ?? 1 }, (_, i) =>
      this.#pod(entry, i),
    )
  }

  #pod(entry: Entry, i: number): Pod {
    const { name } = entry.spec
    const fault = this.#fault(entry)
    const up = !fault && this.now() - entry.since > START_MS * (1 + i * 0.3)
    const pod =
      entry.spec.storage.length > 0
        ? `${name}-${i}`
        : `${name}-${suffix(name + entry.generation)}-${suffix(`${name}${entry.generation}${i}`)}`
    const waiting = { image: 'ImagePullBackOff', crash: 'CrashLoopBackOff' }
    return {
      name: pod,
      phase: fault ? waiting[fault] : up ? 'Running' : 'ContainerCreating',
      ready: up,
      restarts: fault === 'crash' ? 7 : 0,
      ip: `10.42.0.${20 + Math.floor(hash(pod) * 200)}`,
      node: 'harbour',
      createdAt: new Date(entry.since + 800).toISOString(),
      containers: [name],
    }
  }

  #app(entry: Entry): App {
    const { spec } = entry
    const fault = this.#fault(entry)
    const pods = this.pods(spec.name)
    const ready = pods.filter(pod => pod.ready).length
    const desired = entry.stopped ? 0 : (spec.replicas ?? spec.autoscale?.min ?? 1)
    const phase = entry.stopped ? 'stopped' : fault ? 'error' : ready < desired ? 'creating' : 'running'
    const messages = {
      image: `the image ${spec.image} cannot be had: manifest unknown`,
      crash: 'it keeps crashing: it ended with exit code 1, restarted 7 times; look at its logs',
    }
    const starting = phase === 'creating' ? `${ready} of ${desired} replicas are ready` : ''
    return {
      name: spec.name,
      workspace: 'default',
      image: spec.image,
      phase,
      message: phase === 'stopped' ? 'stopped; start it to serve again' : fault ? messages[fault] : starting,
      kind: spec.storage.length > 0 ? 'StatefulSet' : 'Deployment',
      replicas: { desired, ready, updated: desired },
      urls: spec.ports
        .filter(port => port.public)
        .map(port => ({
          url: `http://${port.host ?? `${spec.name}-default.${this.domain}:8080`}`,
          port: port.port,
        })),
      cpu: spec.cpu,
      memory: spec.memory,
      createdAt: entry.createdAt,
      pods,
      remark: null,
    }
  }

  apps(): App[] {
    return [...this.#entries.values()]
      .map(entry => this.#app(entry))
      .toSorted((a, b) => a.name.localeCompare(b.name))
  }

  app(name: string): Answer {
    const entry = this.#entries.get(name)
    return entry ? { status: 200, body: this.#app(entry) } : this.#unknown(name)
  }

  draft(name: string): Answer {
    const entry = this.#entries.get(name)
    return entry ? { status: 200, body: entry.spec } : this.#unknown(name)
  }

  #unknown(name: string): Answer {
    return refuse(404, 'NotFound', `There is no app “${name}” in the workspace “default”`)
  }

  create(request: AppSpec): Answer {
    const spec = full(request)
    if (this.#entries.has(spec.name) || spec.name === 'conflict')
      return refuse(
        409,
        'AlreadyExists',
        `“${spec.name}” is taken in the workspace “default”`,
        undefined,
        'name',
      )
    if (spec.image === 'boom')
      return refuse(
        500,
        'InternalError',
        'The cloud could not store the app',
        'write /var/lib/sealos/store: no space left on device',
      )
    const createdAt = new Date(this.now()).toISOString()
    this.#entries.set(spec.name, {
      spec,
      stopped: false,
      since: this.now(),
      createdAt,
      generation: createdAt,
    })
    this.#changed()
    return { ...this.app(spec.name), status: 201 }
  }

  /** Changes an app and starts its pods anew where the change asks for it. */
  change(name: string, how: (entry: Entry) => void, restart = false): Answer {
    const entry = this.#entries.get(name)
    if (!entry) return this.#unknown(name)
    how(entry)
    if (restart) {
      entry.since = this.now()
      entry.generation = String(this.now())
    }
    this.#changed()
    return this.app(name)
  }

  delete(name: string): Answer {
    if (!this.#entries.delete(name)) return this.#unknown(name)
    this.#changed()
    return { status: 204 }
  }

  events(name: string): AppEvent[] {
    const entry = this.#entries.get(name)
    if (!entry) return []
    const fault = this.#fault(entry)
    const [pod] = this.pods(name)
    const at = (ms: number) => new Date(Math.min(entry.since + ms, this.now())).toISOString()
    const event = (
      type: AppEvent['type'],
      reason: string,
      message: string,
      ms: number,
      count = 1,
    ): AppEvent => ({
      id: `${reason}-${ms}`,
      type,
      reason,
      message,
      object: reason === 'ScalingReplicaSet' ? `Deployment/${name}` : `Pod/${pod?.name ?? name}`,
      count,
      at: at(ms),
    })
    return [
      ...(fault === 'crash'
        ? [event('Warning', 'BackOff', `Back-off restarting failed container ${name}`, 9e9, 41)]
        : []),
      ...(fault === 'image'
        ? [
            event(
              'Warning',
              'Failed',
              `Failed to pull image "${entry.spec.image}": manifest unknown`,
              9e9,
              12,
            ),
          ]
        : []),
      ...(fault ? [] : [event('Normal', 'Started', `Started container ${name}`, 900)]),
      event('Normal', 'Pulling', `Pulling image "${entry.spec.image}"`, 300),
      event('Normal', 'Scheduled', `Successfully assigned default/${pod?.name ?? name} to harbour`, 100),
      event('Normal', 'ScalingReplicaSet', `Scaled up replica set ${name} to ${entry.spec.replicas ?? 1}`, 0),
    ].toSorted((a, b) => b.at.localeCompare(a.at))
  }

  #series(pod: Pod, spec: Pick<Full, 'cpu' | 'memory'>, samples: number): Series {
    const cpu = parseCpu(spec.cpu) ?? 0
    const memory = parseBytes(spec.memory) ?? 0
    const end = Math.floor(this.now() / 1000 / INTERVAL) * INTERVAL
    const seed = hash(pod.name) * 40
    const started = pod.createdAt ? Date.parse(pod.createdAt) / 1000 : end
    const at = Array.from({ length: samples }, (_, i) => end - (samples - 1 - i) * INTERVAL)
    const busy = (t: number) =>
      0.16 + 0.1 * Math.sin(t / 300 + seed) + 0.06 * Math.sin(t / 47 + seed) + 0.05 * hash(`${pod.name}${t}`)
    const spike = (t: number) => (Math.sin(t / 911 + seed) > 0.93 ? 0.35 : 0)
    return {
      at,
      cpuMillis: at.map(t =>
        t < started || !pod.ready ? null : Math.round(cpu * Math.max(0.01, busy(t) + spike(t))),
      ),
      memoryBytes: at.map(t =>
        t < started || !pod.ready
          ? null
          : Math.round(memory * (0.34 + 0.08 * Math.sin(t / 1500 + seed) + 0.02 * hash(`${t}`))),
      ),
    }
  }

  metrics(name: string): AppMetrics {
    const spec = this.#entries.get(name)?.spec
    const series = spec
      ? this.pods(name).map(pod => ({ pod: pod.name, ...this.#series(pod, spec, SAMPLES) }))
      : []
    return {
      at: series[0]?.at ?? [],
      pods: Object.fromEntries(
        series.map(({ pod, cpuMillis, memoryBytes }) => [pod, { cpuMillis, memoryBytes }]),
      ),
    }
  }

  workspaceMetrics(): WorkspaceMetrics {
    return Object.fromEntries(
      this.apps().flatMap(app => {
        const pods = this.pods(app.name).map(pod =>
          this.#series(pod, { cpu: app.cpu ?? '', memory: app.memory ?? '' }, 60),
        )
        const [first] = pods
        if (!first) return []
        const sum = (key: 'cpuMillis' | 'memoryBytes') =>
          first.at.map((_, i) =>
            pods.reduce<number | null>(
              (total, pod) => (pod[key][i] === null ? total : (pod[key][i] ?? 0) + (total ?? 0)),
              null,
            ),
          )
        return [[app.name, { at: first.at, cpuMillis: sum('cpuMillis'), memoryBytes: sum('memoryBytes') }]]
      }),
    )
  }

  capacity(): Capacity {
    const apps = this.apps()
    const requested = (size: (app: App) => number) =>
      apps.reduce((total, app) => total + (size(app) * app.replicas.desired) / 10, 0)
    const pods = apps.reduce((total, app) => total + app.replicas.desired, 0)
    return {
      nodes: 1,
      cpuMillis: {
        total: 4000,
        used: 870 + Math.round(120 * Math.sin(this.now() / 9000)),
        requested: requested(app => parseCpu(app.cpu ?? '') ?? 0),
      },
      memoryBytes: {
        total: 24 * 1024 ** 3,
        used: 9.7 * 1024 ** 3,
        requested: requested(app => parseBytes(app.memory ?? '') ?? 0),
      },
      pods: { total: 110, used: pods + 4 },
      storageBytes: { total: 240 * 1024 ** 3, used: 61 * 1024 ** 3, requested: 52 * 1024 ** 3 },
    }
  }
}
