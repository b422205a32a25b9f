/** The one place that speaks HTTP. It has no powers: the session cookie says who is asking. */

import type { AppEvent, AppMetrics, AppSpec, App, Capacity, ErrorBody, FieldError } from './types'
import type { Preview, Session, WorkspaceMetrics } from './types'

/** What the server answered when it refused. */
export class ApiError extends Error {
  override name = 'ApiError'
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly detail: string | undefined,
    readonly fields: FieldError[],
  ) {
    super(message)
  }
}

/** What a refusal says. */
export const toError = async (response: Response): Promise<ApiError> => {
  const text = await response.text()
  try {
    // The server promises this shape for every refusal; anything else lands in the catch.
    const { error } = JSON.parse(text) as ErrorBody
    return new ApiError(response.status, error.code, error.message, error.detail, error.fields ?? [])
  } catch {
    const what = response.status >= 500 ? 'The console could not answer' : 'The console refused'
    return new ApiError(response.status, 'Unreadable', `${what} (HTTP ${response.status})`, text, [])
  }
}

/** One question to the server, and its answer. */
export const request = async <T>(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> => {
  let response: Response
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers: {
        'X-Sealos-Console': '1',
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError(0, 'Offline', 'The cloud cannot be reached', 'Is `sealos up` still running?', [])
  }
  if (!response.ok) throw await toError(response)
  // The type is the server's promise for this path.
  return (response.status === 204 ? undefined : await response.json()) as T
}

const apps = (workspace: string) => `/workspaces/${encodeURIComponent(workspace)}/apps`
const app = (workspace: string, name: string) => `${apps(workspace)}/${encodeURIComponent(name)}`

export const api = {
  session: (signal?: AbortSignal) => request<Session>('GET', '/session', undefined, signal),
  logout: () => request<void>('POST', '/logout'),
  capacity: (signal?: AbortSignal) => request<Capacity>('GET', '/capacity', undefined, signal),
  apps: (ws: string, signal?: AbortSignal) => request<App[]>('GET', apps(ws), undefined, signal),
  draft: (ws: string, name: string, signal?: AbortSignal) =>
    request<AppSpec>('GET', `${app(ws, name)}/draft`, undefined, signal),
  events: (ws: string, name: string, signal?: AbortSignal) =>
    request<AppEvent[]>('GET', `${app(ws, name)}/events`, undefined, signal),
  metrics: (ws: string, name: string, signal?: AbortSignal) =>
    request<AppMetrics>('GET', `${app(ws, name)}/metrics`, undefined, signal),
  workspaceMetrics: (ws: string, signal?: AbortSignal) =>
    request<WorkspaceMetrics>('GET', `/workspaces/${encodeURIComponent(ws)}/metrics`, undefined, signal),
  preview: (ws: string, spec: AppSpec, signal?: AbortSignal) =>
    request<Preview>('POST', `/workspaces/${encodeURIComponent(ws)}/preview`, spec, signal),
  create: (ws: string, spec: AppSpec) => request<App>('POST', apps(ws), spec),
  update: (ws: string, spec: AppSpec) => request<App>('PUT', app(ws, spec.name), spec),
  scale: (ws: string, name: string, replicas: number) =>
    request<App>('POST', `${app(ws, name)}/scale`, { replicas }),
  restart: (ws: string, name: string) => request<App>('POST', `${app(ws, name)}/restart`),
  stop: (ws: string, name: string) => request<App>('POST', `${app(ws, name)}/stop`),
  start: (ws: string, name: string) => request<App>('POST', `${app(ws, name)}/start`),
  delete: (ws: string, name: string) => request<void>('DELETE', app(ws, name)),
}

/** The address of a WebSocket of the console. */
export const socketUrl = (path: string, query: Record<string, string>): string => {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:'
  return `${scheme}//${location.host}/api/v1${path}?${new URLSearchParams(query).toString()}`
}
