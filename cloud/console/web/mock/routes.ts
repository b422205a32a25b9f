/** The console's API over a `World`. The same paths as the server's, so that tests can use either. */

import type { AppSpec } from '../src/api/types'
import { engines } from './engines.ts'
import type { Full } from './seeds.ts'
import { full, type Answer, type World } from './world.ts'

/** A rough rendering; the server's planner gives the exact objects. */
const yaml = (spec: Full): string => `apiVersion: apps/v1
kind: ${spec.storage.length > 0 ? 'StatefulSet' : 'Deployment'}
metadata:
  name: ${spec.name}
  labels:
    cloud.sealos.io/app-deploy-manager: ${spec.name}
    app: ${spec.name}
spec:
  replicas: ${spec.replicas ?? spec.autoscale?.min ?? 1}
  selector:
    matchLabels:
      app: ${spec.name}
  template:
    spec:
      containers:
        - name: ${spec.name}
          image: ${spec.image}
          resources:
            limits:
              cpu: ${spec.cpu}
              memory: ${spec.memory}
          ports:${spec.ports.map(port => `\n            - containerPort: ${port.port}`).join('') || ' []'}
          env:${
            Object.entries(spec.env)
              .map(
                ([name, value]) =>
                  `\n            - name: ${name}\n              value: ${JSON.stringify(value)}`,
              )
              .join('') || ' []'
          }
`

/** The objects of what the app leans on. */
const services = ({ name, database, bucket }: AppSpec): string => {
  const asked = typeof database === 'object' ? database.name : undefined
  const store = typeof bucket === 'object' ? bucket.name : bucket
  return [
    ...(database
      ? [
          `---\napiVersion: apps.kubeblocks.io/v1alpha1\nkind: Cluster\nmetadata:\n  name: ${asked ?? `${name}-db`}\n`,
        ]
      : []),
    ...(store
      ? [
          `---\napiVersion: objectstorage.sealos.io/v1\nkind: ObjectStorageBucket\nmetadata:\n  name: ${store}\n`,
        ]
      : []),
  ].join('')
}

const command = (spec: Full): string =>
  [
    `sealos deploy ${spec.image} --name ${spec.name}`,
    ...spec.ports.map(port => `--port ${port.port}`),
    `--cpu ${spec.cpu} --memory ${spec.memory}`,
    `--replicas ${spec.replicas ?? 1}`,
    ...Object.entries(spec.env).map(([name, value]) => `--env ${name}=${String(value)}`),
  ].join(' \\\n  ')

const manifest = (spec: AppSpec): string =>
  Object.entries(spec)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    .join('\n')

const ok = (body: unknown): Answer => ({ status: 200, body })

const act = (world: World, name: string, action: string, body: unknown): Answer | undefined => {
  switch (action) {
    case 'scale':
      // The client sends `{replicas}` here and nothing else.
      return world.change(name, entry => (entry.spec = { ...entry.spec, ...(body as { replicas: number }) }))
    case 'restart':
      return world.change(name, () => undefined, true)
    case 'stop':
      return world.change(name, entry => (entry.stopped = true))
    case 'start':
      return world.change(name, entry => (entry.stopped = false), true)
    default:
      return undefined
  }
}

const look = (world: World, name: string, part: string): Answer | undefined => {
  switch (part) {
    case 'draft':
      return world.draft(name)
    case 'events':
      return ok(world.events(name))
    case 'metrics':
      return ok(world.metrics(name))
    default:
      return undefined
  }
}

/** Answers one request; the path may have a query. */
export const answer = (world: World, method: string, address: string, body: unknown): Answer => {
  const [path = '', query = ''] = address.split('?')
  const [root, , part, ...rest] = path.split('/').filter(Boolean).map(decodeURIComponent)
  const [name, action] = rest
  const missing: Answer = {
    status: 404,
    body: { error: { code: 'NotFound', message: `No such address: ${path}` } },
  }
  if (root === 'session')
    return ok({ user: 'admin', domain: world.domain, version: '0.1.0', workspaces: ['default'] })
  if (root === 'capacity') return ok(world.capacity())
  if (root === 'logout') return { status: 204 }
  if (root === 'engines') return ok(engines)
  if (root !== 'workspaces') return missing
  if (part === 'databases') return world.databases.answer(method, rest, body) ?? missing
  if (part === 'buckets')
    return world.buckets.answer(method, rest, new URLSearchParams(query), body) ?? missing
  if (part === 'bucket-keys') return world.buckets.keys(method)
  if (part === 'metrics') return ok(world.workspaceMetrics())
  // The client sends a whole spec here.
  const spec = body as AppSpec
  if (part === 'preview')
    return ok({
      yaml: yaml(full(spec)) + services(spec),
      manifest: manifest(spec),
      command: command(full(spec)),
    })
  if (part !== 'apps') return missing
  if (name === undefined) return method === 'POST' ? world.create(spec) : ok(world.apps())
  if (action !== undefined)
    return (method === 'POST' ? act(world, name, action, body) : look(world, name, action)) ?? missing
  if (method === 'DELETE') return world.delete(name)
  if (method === 'PUT') return world.change(name, entry => (entry.spec = full(spec)), true)
  return world.app(name)
}
