/** The draft of a database: as typed, and the request it stands for. Pure. */

import type { DatabaseSpec, Engine, Schedule } from '../api/databases'
import { parseBytes, parseCpu, quantity } from '../lib/units'
import { cronProblem } from '../lib/cron'
import { nameProblem, type Problems } from './problems'

export interface SizeDraft {
  cpu: string
  memory: string
  storage: string
}

export interface DatabaseDraft extends SizeDraft {
  name: string
  engine: string
  version: string
  replicas: string
  sync: boolean
  schedule: Schedule
}

export interface Preset {
  name: string
  about: string
  size: SizeDraft
}

/** The sizes that fit most; every one can be typed over. */
export const PRESETS: [Preset, ...Preset[]] = [
  { name: 'Small', about: 'Trying things out', size: { cpu: '0.5', memory: '512Mi', storage: '3Gi' } },
  { name: 'Medium', about: 'A busy app', size: { cpu: '1', memory: '2Gi', storage: '10Gi' } },
  { name: 'Large', about: 'Many apps, much data', size: { cpu: '4', memory: '8Gi', storage: '50Gi' } },
]

/** Every night, where the reader is. */
export const nightly = (): Schedule => ({
  enabled: true,
  cron: '0 3 * * *',
  timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
  keepDays: 7,
})

export const databaseDraft = (engines: Engine[], wanted: string | null): DatabaseDraft => {
  const engine = engines.find(({ name }) => name === wanted) ?? engines[0]
  return {
    ...PRESETS[0].size,
    name: '',
    engine: engine?.name ?? '',
    version: engine?.versions[0] ?? '',
    replicas: '1',
    sync: false,
    schedule: nightly(),
  }
}

const MI = 1024 ** 2

const sizeProblems = ({ cpu, memory, storage }: SizeDraft): Problems => {
  const found: Problems = {}
  const [millis, size, room] = [parseCpu(cpu), parseBytes(memory), parseBytes(storage, 'Gi')]
  if (millis === undefined || millis < 100) found['cpu'] = 'Cores, at least 0.1'
  if (size === undefined || size < 64 * MI) found['memory'] = 'A size, at least 64Mi'
  if (room === undefined || room < 256 * MI) found['storage'] = 'A size, at least 256Mi'
  return found
}

export const databaseProblems = (draft: DatabaseDraft, taken: ReadonlySet<string>): Problems => {
  const name = nameProblem(draft.name.trim(), taken)
  const count = /^\d+$/.test(draft.replicas.trim()) ? Number(draft.replicas) : 0
  const { enabled, cron, keepDays } = draft.schedule
  const schedule = enabled && (cronProblem(cron) !== undefined || !(keepDays >= 1 && keepDays <= 3650))
  return {
    ...(name ? { name } : {}),
    ...sizeProblems(draft),
    ...(count < 1 || count > 9 ? { replicas: 'From 1 to 9' } : {}),
    ...(schedule ? { schedule: 'The schedule is not complete' } : {}),
  }
}

/** What a draft's size is in numbers; what is no size counts nothing. */
export const totals = ({ cpu, memory, storage, replicas }: SizeDraft & { replicas: string }) => {
  const count = Number.parseInt(replicas, 10) || 0
  return {
    cpuMillis: (parseCpu(cpu) ?? 0) * count,
    memoryBytes: (parseBytes(memory) ?? 0) * count,
    storageBytes: (parseBytes(storage, 'Gi') ?? 0) * count,
  }
}

export const toDatabaseSpec = (draft: DatabaseDraft): DatabaseSpec => ({
  name: draft.name.trim(),
  engine: draft.engine,
  version: draft.version,
  replicas: Number(draft.replicas),
  cpu: `${parseCpu(draft.cpu) ?? 0}m`,
  memory: quantity(parseBytes(draft.memory) ?? 0),
  storage: quantity(parseBytes(draft.storage, 'Gi') ?? 0),
  sync: draft.sync && Number(draft.replicas) > 1,
  schedule: draft.schedule.enabled ? draft.schedule : null,
})
