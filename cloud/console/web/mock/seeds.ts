/** The apps that a fresh mock begins with: one of each phase. */

import type { AppSpec } from '../src/api/types'

/** A request with nothing left out. */
export type Full = AppSpec &
  Required<Pick<AppSpec, 'image' | 'cpu' | 'memory' | 'ports' | 'env' | 'files' | 'storage'>>

const spec = (name: string, image: string, more: Partial<Full> = {}): Full => ({
  name,
  image,
  command: [],
  args: [],
  cpu: '200m',
  memory: '256Mi',
  replicas: 1,
  ports: [{ port: 80, protocol: 'HTTP', public: true }],
  env: {},
  files: [],
  storage: [],
  ...more,
})

export const seeds: { spec: Full; hoursAgo: number; stopped?: boolean }[] = [
  {
    spec: spec('shop', 'ghcr.io/acme/shop:2.4.1', {
      cpu: '500m',
      memory: '512Mi',
      replicas: 3,
      ports: [
        { port: 8080, protocol: 'HTTP', public: true },
        { port: 9090, protocol: 'HTTP', public: false },
      ],
      database: { engine: 'postgresql', name: 'orders' },
      bucket: 'photos',
      env: {
        LOG_LEVEL: 'info',
        SESSION_SECRET: { secret: 'shop-session/secret' },
      },
      files: [{ path: '/etc/shop/config.toml', content: '[server]\nworkers = 4\ntimeout = "30s"\n' }],
    }),
    hoursAgo: 76,
  },
  {
    spec: spec('hello', 'sealos.local/hello:dev', {
      ports: [{ port: 8080, protocol: 'HTTP', public: true }],
    }),
    hoursAgo: 2,
  },
  {
    spec: spec('shop-db', 'postgres:17', {
      cpu: '1',
      memory: '1Gi',
      ports: [{ port: 5432, protocol: 'TCP', public: false }],
      env: { POSTGRES_PASSWORD: 'correct-horse' },
      storage: [{ path: '/var/lib/postgresql/data', size: '10Gi' }],
    }),
    hoursAgo: 77,
  },
  { spec: spec('mailer', 'ghcr.io/acme/mailer:crash', { ports: [], replicas: 1 }), hoursAgo: 0.4 },
  { spec: spec('preview', 'ghcr.io/acme/missing:pr-118'), hoursAgo: 0.1 },
  { spec: spec('docs', 'ghcr.io/acme/docs:1.9', { replicas: 2 }), hoursAgo: 400, stopped: true },
  {
    spec: spec('search', 'getmeili/meilisearch:v1.12', {
      memory: '2Gi',
      replicas: 2,
      ports: [{ port: 7700, protocol: 'HTTP', public: true }],
    }),
    hoursAgo: 30,
  },
]
