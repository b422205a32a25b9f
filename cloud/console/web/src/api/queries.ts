/** What the pages read: every piece of server state has its key and its query here. */

import { keepPreviousData, QueryClient, queryOptions } from '@tanstack/react-query'
import { api, ApiError } from './client'

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal will be a refusal again; only an unreachable cloud is worth another try.
      retry: (failures, error) => failures < 2 && error instanceof ApiError && error.status === 0,
      refetchOnWindowFocus: true,
    },
  },
})

export const sessionQuery = () =>
  queryOptions({
    queryKey: ['session'],
    queryFn: ({ signal }) => api.session(signal),
    staleTime: 60_000,
    retry: false,
  })

export const capacityQuery = () =>
  queryOptions({
    queryKey: ['capacity'],
    queryFn: ({ signal }) => api.capacity(signal),
    refetchInterval: 10_000,
  })

/** Kept fresh by the live stream; asked for once. */
export const appsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ['apps', workspace],
    queryFn: ({ signal }) => api.apps(workspace, signal),
    staleTime: Infinity,
  })

/** The request that would deploy the app as it is. */
export const draftQuery = (workspace: string, name: string) =>
  queryOptions({
    queryKey: ['draft', workspace, name],
    queryFn: ({ signal }) => api.draft(workspace, name, signal),
  })

export const eventsQuery = (workspace: string, name: string) =>
  queryOptions({
    queryKey: ['events', workspace, name],
    queryFn: ({ signal }) => api.events(workspace, name, signal),
    refetchInterval: 4_000,
  })

export const metricsQuery = (workspace: string, name: string) =>
  queryOptions({
    queryKey: ['metrics', workspace, name],
    queryFn: ({ signal }) => api.metrics(workspace, name, signal),
    refetchInterval: 5_000,
    placeholderData: keepPreviousData,
  })

export const workspaceMetricsQuery = (workspace: string) =>
  queryOptions({
    queryKey: ['workspace-metrics', workspace],
    queryFn: ({ signal }) => api.workspaceMetrics(workspace, signal),
    refetchInterval: 10_000,
  })
