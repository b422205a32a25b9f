/** Every database of the workspace, and how it is. */

import { useQuery } from '@tanstack/react-query'
import { Plus, Search, X } from 'lucide-react'
import { useRef } from 'react'
import { Link, useParams } from 'react-router'
import { databasesQuery, type Database } from '../api/databases'
import type { Phase } from '../api/types'
import { age, bytes, inCores, parseBytes, parseCpu } from '../lib/units'
import { useUrlText } from '../lib/url-text'
import { useKeys } from '../shell/keys'
import { Button, IconButton } from '../ui/button'
import { Command, Empty, Kbd, Skeleton, Trouble } from '../ui/bits'
import { EngineMark, engineTitle } from '../ui/engine'
import { phaseWord, Pips, StatusDot } from '../ui/status'
import apps from './apps.module.css'
import css from './databases.module.css'

const matches = ({ name, engine, version }: Database, text: string) =>
  [name, engineTitle(engine), version].some(field => field.toLowerCase().includes(text.toLowerCase()))

/** “2 running, 1 stopped”. */
const summary = (databases: Database[]): string => {
  const counts = new Map<Phase, number>()
  for (const { phase } of databases) counts.set(phase, (counts.get(phase) ?? 0) + 1)
  return [...counts].map(([phase, count]) => `${count} ${phaseWord(phase).toLowerCase()}`).join(', ')
}

export default function DatabasesPage() {
  const { workspace = 'default' } = useParams()
  const { data, error, refetch } = useQuery(databasesQuery(workspace))
  const [text, setText] = useUrlText('q')
  const search = useRef<HTMLInputElement>(null)
  useKeys({ '/': () => search.current?.focus() })
  const shown = data?.filter(database => matches(database, text))
  return (
    <div className={apps.page}>
      <title>Databases · Sealos</title>
      <header className={apps.header}>
        <div className="grow">
          <h1>Databases</h1>
          <p className="muted" role="status">
            {data ? summary(data) || 'None yet' : '\u00A0'}
          </p>
        </div>
        <Button asChild look="primary">
          <Link to={`/w/${workspace}/databases/new`}>
            <Plus aria-hidden />
            Create a database
          </Link>
        </Button>
      </header>
      {data && data.length > 0 && (
        <div className={apps.tools}>
          <label className={apps.search}>
            <Search size={15} aria-hidden />
            <input
              ref={search}
              type="search"
              placeholder="Search by name or engine"
              aria-label="Search databases"
              value={text}
              onChange={event => setText(event.target.value)}
            />
            {text ? (
              <IconButton size="s" label="Clear the search" icon={<X />} onClick={() => setText('')} />
            ) : (
              <Kbd>/</Kbd>
            )}
          </label>
        </div>
      )}
      {error && !data ? (
        <Trouble error={error} title="The databases could not be listed" retry={() => void refetch()} />
      ) : !shown ? (
        <div className={apps.table} role="status" aria-label="Loading the databases">
          {[0, 1, 2].map(i => (
            <div key={i} className={apps.ghost}>
              <Skeleton width={34} height={34} />
              <Skeleton width={`${26 - i * 4}%`} />
              <span className="grow" />
              <Skeleton width={84} height={22} />
            </div>
          ))}
        </div>
      ) : data?.length === 0 ? (
        <FirstDatabase workspace={workspace} />
      ) : shown.length === 0 ? (
        <Empty title="No database matches">
          <Button onClick={() => setText('')}>Show all</Button>
        </Empty>
      ) : (
        <div className={`${apps.table} ${css.table}`} role="table" aria-label="Databases">
          <div className={apps.head} role="row">
            {['Database', 'Engine', 'Replicas', 'Size', 'Storage', 'Age'].map(title => (
              <span key={title} role="columnheader">
                {title}
              </span>
            ))}
          </div>
          {shown.map(database => (
            <Row key={database.name} database={database} />
          ))}
        </div>
      )}
    </div>
  )
}

const Row = ({ database }: { database: Database }) => {
  const { name, workspace, engine, version, phase, message } = database
  const said = message !== '' && phase !== 'stopped'
  return (
    <div className={css.row} role="row">
      <div className={css.name} role="cell">
        <EngineMark engine={engine} />
        <div className="grow">
          <span className={css.title}>
            <Link to={`/w/${workspace}/databases/${name}`}>{name}</Link>
            <StatusDot phase={phase} />
          </span>
          <p
            className={`truncate small ${said ? css.why : 'faint'}`}
            data-phase={phase}
            title={said ? message : undefined}
          >
            {said ? message.replaceAll('`', '') : phaseWord(phase)}
          </p>
        </div>
      </div>
      <div className={css.engine} role="cell">
        {engineTitle(engine)} <span className="muted nums">{version}</span>
      </div>
      <div className={css.pips} role="cell">
        <Pips phase={phase} {...database.replicas} />
      </div>
      <div className={`${css.size} nums`} role="cell">
        {inCores(parseCpu(database.cpu) ?? 0)}, {bytes(parseBytes(database.memory) ?? 0)}
      </div>
      <div className={`${css.storage} nums`} role="cell">
        {bytes(parseBytes(database.storage) ?? 0)}
      </div>
      <div
        className={`${css.age} faint small nums`}
        role="cell"
        title={database.createdAt ? new Date(database.createdAt).toLocaleString() : undefined}
      >
        {database.createdAt && age(database.createdAt)}
      </div>
    </div>
  )
}

const FirstDatabase = ({ workspace }: { workspace: string }) => (
  <Empty
    picture={
      <span className={css.marks}>
        {['redis', 'postgresql', 'mariadb'].map(engine => (
          <EngineMark key={engine} engine={engine} size={46} />
        ))}
      </span>
    }
    title="No databases yet"
  >
    <p>
      The real engines, run for you: replicas that take over by themselves, backups that are proved by
      restoring them, and charts of what they do.
    </p>
    <Button asChild look="primary">
      <Link to={`/w/${workspace}/databases/new`}>
        <Plus aria-hidden />
        Create your first database
      </Link>
    </Button>
    <p className="small faint">or one line in an app’s sealos.yaml</p>
    <Command>database: postgres</Command>
  </Empty>
)
