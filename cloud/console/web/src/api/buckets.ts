/** Buckets and their objects as the console's API speaks of them. */

import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { ApiError, request, toError } from './client'

export type Policy = 'private' | 'publicRead' | 'publicReadwrite'

export interface Bucket {
  name: string
  workspace: string
  /** What S3 clients call it. */
  realName: string
  policy: Policy
  phase: 'creating' | 'running' | 'error' | 'deleting'
  message: string
  sizeBytes: number
  objects: number
  createdAt: string | null
  /** Where browsers reach it when it is public. */
  publicUrl: string | null
}

export interface Entry {
  key: string
  sizeBytes: number
  modifiedAt: string | null
}

/** One page of what is right below a prefix. */
export interface Listing {
  prefixes: string[]
  objects: Entry[]
  next: string | null
}

export interface Keys {
  accessKey: string
  secretKey: string
  /** For apps in the cloud. */
  internal: string
  /** For everything else. */
  external: string
  region: string
  /** The Secret that apps refer to. */
  secret: string
}

export interface Usage {
  at: number[]
  sizeBytes: (number | null)[]
  objects: (number | null)[]
  quotaBytes: number | null
}

const list = (ws: string) => `/workspaces/${encodeURIComponent(ws)}/buckets`
const one = (ws: string, name: string) => `${list(ws)}/${encodeURIComponent(name)}`

/** The address of an object's content, for links and pictures. */
export const contentUrl = (ws: string, name: string, key: string, how: 'inline' | 'download') =>
  `/api/v1${one(ws, name)}/content?${new URLSearchParams({ key, how }).toString()}`

/** Sends a file and says how far it is. `fetch` cannot tell that; this can. */
export const upload = (
  url: string,
  file: File,
  progress: (sent: number) => void,
  signal: AbortSignal,
): Promise<void> =>
  new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest()
    sending.open('PUT', url)
    sending.setRequestHeader('X-Sealos-Console', '1')
    sending.setRequestHeader('Content-Type', file.type || 'application/octet-stream')
    sending.upload.addEventListener('progress', event => progress(event.loaded))
    sending.addEventListener('load', () => {
      if (sending.status < 300) return resolve()
      void toError(new Response(sending.responseText, { status: sending.status })).then(reject)
    })
    const lost = new ApiError(0, 'Offline', 'The upload was cut off', 'Is `sealos up` still running?', [])
    sending.addEventListener('error', () => reject(lost))
    sending.addEventListener('abort', () =>
      reject(new ApiError(0, 'Stopped', 'It was stopped', undefined, [])),
    )
    signal.addEventListener('abort', () => sending.abort())
    sending.send(file)
  })

export const buckets = {
  create: (ws: string, spec: { name: string; policy: Policy }) => request<Bucket>('POST', list(ws), spec),
  delete: (ws: string, name: string) => request<void>('DELETE', one(ws, name)),
  setPolicy: (ws: string, name: string, policy: Policy) =>
    request<Bucket>('PUT', `${one(ws, name)}/policy`, { policy }),
  /** Keys that end with a slash stand for everything below them. */
  remove: (ws: string, name: string, keys: string[]) =>
    request<{ deleted: number }>('POST', `${one(ws, name)}/remove`, { keys }),
  share: (ws: string, name: string, key: string, seconds: number) =>
    request<{ url: string; expiresAt: string }>('POST', `${one(ws, name)}/share`, { key, seconds }),
  rotate: (ws: string) => request<Keys>('POST', `/workspaces/${encodeURIComponent(ws)}/bucket-keys/rotate`),
}

export const bucketsQuery = (ws: string) =>
  queryOptions({
    queryKey: ['buckets', ws],
    queryFn: ({ signal }) => request<Bucket[]>('GET', list(ws), undefined, signal),
    // What was refused is asked for again seldom.
    refetchInterval: ({ state }) =>
      state.error
        ? 30_000
        : state.data?.some(({ phase }) => phase === 'creating' || phase === 'deleting')
          ? 1_200
          : 8_000,
  })

export const objectsQuery = (ws: string, name: string, prefix: string) =>
  infiniteQueryOptions({
    queryKey: ['objects', ws, name, prefix],
    queryFn: ({ signal, pageParam }) => {
      const query = new URLSearchParams({ prefix, ...(pageParam ? { after: pageParam } : {}) })
      return request<Listing>('GET', `${one(ws, name)}/objects?${query.toString()}`, undefined, signal)
    },
    initialPageParam: '',
    getNextPageParam: page => page.next ?? undefined,
  })

export const keysQuery = (ws: string) =>
  queryOptions({
    queryKey: ['bucket-keys', ws],
    queryFn: ({ signal }) =>
      request<Keys>('GET', `/workspaces/${encodeURIComponent(ws)}/bucket-keys`, undefined, signal),
  })

export const usageQuery = (ws: string, name: string) =>
  queryOptions({
    queryKey: ['usage', ws, name],
    queryFn: ({ signal }) => request<Usage>('GET', `${one(ws, name)}/usage`, undefined, signal),
    refetchInterval: 10_000,
  })
