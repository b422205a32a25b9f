/** The addresses of the console. Loaders start what a page reads; pages show it as it comes. */

import { createBrowserRouter, Outlet, redirect, type RouteObject } from 'react-router'
import { ApiError } from './api/client'
import { appsQuery, capacityQuery, queries, sessionQuery, workspaceMetricsQuery } from './api/queries'
import { NotFound, RouteTrouble } from './pages/trouble'
import { Shell } from './shell/shell'

const session = async () => {
  try {
    return await queries.ensureQueryData(sessionQuery())
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) throw redirect('/logged-out')
    throw error
  }
}

const databaseRoutes: RouteObject[] = [
  { path: 'databases', lazy: async () => ({ Component: (await import('./pages/databases')).default }) },
  {
    path: 'databases/new',
    lazy: async () => ({ Component: (await import('./pages/database-new')).default }),
  },
  {
    path: 'databases/:name',
    lazy: async () => ({ Component: (await import('./pages/database/database')).default }),
    children: [
      {
        index: true,
        lazy: async () => ({ Component: (await import('./pages/database/overview')).default }),
      },
      {
        path: 'metrics',
        lazy: async () => ({ Component: (await import('./pages/database/metrics')).default }),
      },
      { path: 'query', lazy: async () => ({ Component: (await import('./pages/database/query')).default }) },
      {
        path: 'terminal',
        lazy: async () => ({ Component: (await import('./pages/database/terminal')).default }),
      },
      { path: 'logs', lazy: async () => ({ Component: (await import('./pages/database/logs')).default }) },
      {
        path: 'backups',
        lazy: async () => ({ Component: (await import('./pages/database/backups')).default }),
      },
      {
        path: 'parameters',
        lazy: async () => ({ Component: (await import('./pages/database/parameters')).default }),
      },
      {
        path: 'events',
        lazy: async () => ({ Component: (await import('./pages/database/events')).default }),
      },
      {
        path: 'settings',
        lazy: async () => ({ Component: (await import('./pages/database/settings')).default }),
      },
    ],
  },
]

const bucketRoutes: RouteObject[] = [
  { path: 'buckets', lazy: async () => ({ Component: (await import('./pages/buckets')).default }) },
  {
    path: 'buckets/:name',
    lazy: async () => ({ Component: (await import('./pages/bucket/bucket')).default }),
    children: [
      { index: true, lazy: async () => ({ Component: (await import('./pages/bucket/files')).default }) },
      { path: 'keys', lazy: async () => ({ Component: (await import('./pages/bucket/keys')).default }) },
      { path: 'usage', lazy: async () => ({ Component: (await import('./pages/bucket/usage')).default }) },
      {
        path: 'settings',
        lazy: async () => ({ Component: (await import('./pages/bucket/settings')).default }),
      },
    ],
  },
]

export const router = createBrowserRouter([
  { path: '/logged-out', lazy: async () => ({ Component: (await import('./pages/logged-out')).default }) },
  {
    path: '/',
    Component: Outlet,
    ErrorBoundary: RouteTrouble,
    HydrateFallback: () => null,
    children: [
      {
        index: true,
        Component: () => null,
        loader: async () => {
          const { workspaces } = await session()
          return redirect(`/w/${workspaces[0] ?? 'default'}`)
        },
      },
      {
        path: 'w/:workspace',
        Component: Shell,
        loader: async ({ params: { workspace = '' } }) => {
          await session()
          void queries.prefetchQuery(appsQuery(workspace))
          void queries.prefetchQuery(workspaceMetricsQuery(workspace))
          void queries.prefetchQuery(capacityQuery())
          return null
        },
        // Views keep their state in the query string; nothing is read anew for it.
        shouldRevalidate: ({ currentUrl, nextUrl }) => currentUrl.pathname !== nextUrl.pathname,
        children: [
          {
            ErrorBoundary: RouteTrouble,
            children: [
              { index: true, lazy: async () => ({ Component: (await import('./pages/apps')).default }) },
              { path: 'deploy', lazy: async () => ({ Component: (await import('./pages/deploy')).default }) },
              {
                path: 'apps/:name',
                lazy: async () => ({ Component: (await import('./pages/app/app')).default }),
                children: [
                  {
                    index: true,
                    lazy: async () => ({ Component: (await import('./pages/app/overview')).default }),
                  },
                  {
                    path: 'logs',
                    lazy: async () => ({ Component: (await import('./pages/app/logs')).default }),
                  },
                  {
                    path: 'terminal',
                    lazy: async () => ({ Component: (await import('./pages/app/terminal')).default }),
                  },
                  {
                    path: 'events',
                    lazy: async () => ({ Component: (await import('./pages/app/events')).default }),
                  },
                  {
                    path: 'configuration',
                    lazy: async () => ({ Component: (await import('./pages/app/configuration')).default }),
                  },
                  {
                    path: 'settings',
                    lazy: async () => ({ Component: (await import('./pages/app/settings')).default }),
                  },
                ],
              },
              ...databaseRoutes,
              ...bucketRoutes,
              { path: '*', Component: NotFound },
            ],
          },
        ],
      },
      { path: '*', Component: NotFound },
    ],
  },
])
