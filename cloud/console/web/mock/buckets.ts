/** The buckets of the mock. A file named `refused.bin` is refused as too large for the quota. */

import type { Bucket, Entry, Keys, Policy, Usage } from '../src/api/buckets'
import type { Answer } from './world.ts'

interface Stored {
  policy: Policy
  since: number
  objects: Map<string, { type: string; body: Uint8Array<ArrayBuffer>; size: number; at: number }>
}

const ok = (body: unknown): Answer => ({ status: 200, body })
const refuse = (status: number, code: string, message: string, field?: string): Answer => ({
  status,
  body: { error: { code, message, ...(field ? { fields: [{ field, message }] } : {}) } },
})

const picture = (hue: number) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="420"><rect width="640" height="420" fill="hsl(${hue} 45% 70%)"/><circle cx="470" cy="130" r="60" fill="hsl(${hue + 40} 80% 85%)"/><path d="M0 300q160-120 320 0t320 0v120H0z" fill="hsl(${hue} 55% 40%)"/></svg>`

export class Buckets {
  #all = new Map<string, Stored>()
  #secret = 'Qm3xT9bLr2VwYz7K'

  constructor(readonly now: () => number = Date.now) {
    const photos = this.#add('photos', 'publicRead')
    for (const [i, name] of ['harbour', 'lighthouse', 'seal', 'tide'].entries())
      this.put(
        'photos',
        `2026/coast/${name}.svg`,
        'image/svg+xml',
        new TextEncoder().encode(picture(170 + i * 34)),
      )
    this.put(
      'photos',
      'README.md',
      'text/markdown',
      new TextEncoder().encode('# Photos\n\nPictures of the shop.\n'),
    )
    photos.objects.set('2026/raw/whole-coast.tif', {
      type: 'image/tiff',
      body: new Uint8Array(),
      size: 812_004_112,
      at: this.now() - 8e6,
    })
    this.#add('backups', 'private')
  }

  #add(name: string, policy: Policy): Stored {
    const stored: Stored = { policy, since: this.now() - 4e8, objects: new Map() }
    this.#all.set(name, stored)
    return stored
  }

  put(bucket: string, key: string, type: string, body: Uint8Array<ArrayBuffer>): Answer {
    if (key.endsWith('refused.bin'))
      return refuse(403, 'QuotaExceeded', 'the workspace has no room for this file')
    this.#all.get(bucket)?.objects.set(key, { type, body, size: body.length, at: this.now() })
    return { status: 204 }
  }

  content(bucket: string, key: string) {
    return this.#all.get(bucket)?.objects.get(key)
  }

  #view(name: string, { policy, since, objects }: Stored): Bucket {
    const sizes = [...objects.values()].map(({ size }) => size)
    return {
      name,
      workspace: 'default',
      realName: `default-${name}`,
      policy,
      phase: 'running',
      message: '',
      sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
      objects: sizes.length,
      createdAt: new Date(since).toISOString(),
      publicUrl: policy === 'private' ? null : `http://s3.localhost:8080/default-${name}/`,
    }
  }

  #listing({ objects }: Stored, prefix: string) {
    const below = [...objects].filter(([key]) => key.startsWith(prefix))
    const folder = (key: string) => key.slice(prefix.length).split('/').slice(0, -1)[0]
    const prefixes = new Set(
      below.flatMap(([key]) => (folder(key) === undefined ? [] : [`${prefix}${folder(key)}/`])),
    )
    const entries: Entry[] = below
      .filter(([key]) => folder(key) === undefined)
      .map(([key, { size, at }]) => ({ key, sizeBytes: size, modifiedAt: new Date(at).toISOString() }))
    return ok({ prefixes: [...prefixes].toSorted(), objects: entries, next: null })
  }

  #usage(stored: Stored): Usage {
    const { sizeBytes, objects } = this.#view('', stored)
    const end = Math.floor(this.now() / 60_000) * 60
    const at = Array.from({ length: 60 }, (_, i) => end - (59 - i) * 60)
    return {
      at,
      sizeBytes: at.map((_, i) => Math.round((sizeBytes * (i + 8)) / 67)),
      objects: at.map(() => objects),
      quotaBytes: 20 * 1024 ** 3,
    }
  }

  keys(method: string): Answer {
    if (method === 'POST') this.#secret = `new${Math.floor(this.now()).toString(36)}`
    const keys: Keys = {
      accessKey: 'default',
      secretKey: this.#secret,
      internal: 'http://object-storage.objectstorage-system.svc.cluster.local',
      external: 'http://s3.localhost:8080',
      region: 'us-east-1',
      secret: 'object-storage-key',
    }
    return ok(keys)
  }

  answer(method: string, path: string[], query: URLSearchParams, body: unknown): Answer | undefined {
    const [name, part] = path
    // The client sends such an object with every verb that needs one.
    const sent = (body ?? {}) as {
      name?: string
      policy?: Policy
      keys?: string[]
      key?: string
      seconds?: number
    }
    if (name === undefined) {
      if (method !== 'POST') return ok([...this.#all].map(([name, stored]) => this.#view(name, stored)))
      const fresh = sent.name ?? ''
      if (this.#all.has(fresh)) return refuse(409, 'AlreadyExists', `“${fresh}” is taken`, 'name')
      return { status: 201, body: this.#view(fresh, this.#add(fresh, sent.policy ?? 'private')) }
    }
    const stored = this.#all.get(name)
    if (!stored) return refuse(404, 'NotFound', `There is no bucket “${name}” in the workspace “default”`)
    switch (part) {
      case undefined:
        if (method === 'DELETE') this.#all.delete(name)
        return method === 'DELETE' ? { status: 204 } : ok(this.#view(name, stored))
      case 'objects':
        return this.#listing(stored, query.get('prefix') ?? '')
      case 'usage':
        return ok(this.#usage(stored))
      case 'policy':
        stored.policy = sent.policy ?? 'private'
        return ok(this.#view(name, stored))
      case 'remove': {
        const doomed = [...stored.objects.keys()].filter(key =>
          sent.keys?.some(one => key === one || (one.endsWith('/') && key.startsWith(one))),
        )
        for (const key of doomed) stored.objects.delete(key)
        return ok({ deleted: doomed.length })
      }
      case 'share': {
        const expiresAt = new Date(this.now() + (sent.seconds ?? 3600) * 1000).toISOString()
        return ok({
          url: `http://s3.localhost:8080/default-${name}/${sent.key}?X-Amz-Signature=0f3a`,
          expiresAt,
        })
      }
      default:
        return undefined
    }
  }
}
