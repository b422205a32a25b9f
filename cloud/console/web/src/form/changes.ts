/** Which parts of a request differ, in words. */

import type { AppSpec } from '../api/types'

const PARTS: [keyof AppSpec, string][] = [
  ['image', 'image'],
  ['ports', 'network'],
  ['cpu', 'CPU'],
  ['memory', 'memory'],
  ['replicas', 'replicas'],
  ['autoscale', 'autoscaling'],
  ['env', 'environment'],
  ['files', 'config files'],
  ['storage', 'storage'],
  ['command', 'command'],
  ['args', 'arguments'],
  ['registry', 'registry login'],
  ['database', 'database'],
  ['bucket', 'bucket'],
]

/** Objects are compared by content: the order of their keys says nothing. */
const stable = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => a.localeCompare(b)))
      : part,
  ) ?? ''

export const changedParts = (before: AppSpec, after: AppSpec): string[] =>
  PARTS.filter(([key]) => stable(before[key]) !== stable(after[key])).map(([, word]) => word)
