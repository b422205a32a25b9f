/** The engines of the mock, and what their parameters are. */

import type { Engine, Parameter } from '../src/api/databases'

export const engines: Engine[] = [
  {
    name: 'postgresql',
    title: 'PostgreSQL',
    language: 'sql',
    versions: ['17', '16', '15', '14'],
    about: 'Relational, with everything. The right choice when in doubt.',
    canSync: true,
    pointInTime: true,
    defaultPort: 5432,
  },
  {
    name: 'mariadb',
    title: 'MariaDB',
    language: 'sql',
    versions: ['11.4', '10.11'],
    about: 'Speaks MySQL, with a licence that stays free.',
    canSync: true,
    pointInTime: true,
    defaultPort: 3306,
  },
  {
    name: 'redis',
    title: 'Redis',
    language: 'commands',
    versions: ['7.2'],
    about: 'Keys and values in memory: caches, queues, counters.',
    canSync: false,
    pointInTime: false,
    defaultPort: 6379,
  },
  {
    name: 'mongodb',
    title: 'MongoDB',
    language: 'documents',
    versions: ['8.0', '7.0', '6.0'],
    about: 'Documents without a schema.',
    canSync: true,
    pointInTime: false,
    defaultPort: 27017,
  },
]

const one = (
  name: string,
  value: string,
  allowed: string,
  about: string,
  needsRestart = false,
): Parameter => ({ name, value, default: value, allowed, about, needsRestart, changed: false })

export const parametersOf = (engine: string): Parameter[] =>
  engine === 'redis'
    ? [
        one(
          'maxmemory-policy',
          'noeviction',
          'noeviction, allkeys-lru, allkeys-lfu, …',
          'What goes when memory is full.',
        ),
        one('appendfsync', 'everysec', 'always, everysec or no', 'How often writes are forced to disk.'),
        one('databases', '16', '1 to 1024', 'How many numbered databases there are.', true),
      ]
    : [
        one('max_connections', '100', '1 to 10000', 'How many clients can be connected at a time.', true),
        one('work_mem', '4MB', '64kB to 2GB', 'Memory of each sort and hash of a query.'),
        one('shared_buffers', '128MB', '128kB to 1TB', 'Memory that all connections share as cache.', true),
        one(
          'log_min_duration_statement',
          '1000',
          '-1 to 2147483647 ms',
          'Statements that take longer are logged.',
        ),
        one('autovacuum', 'on', 'on or off', 'Whether dead rows are cleared away by itself.'),
      ]
