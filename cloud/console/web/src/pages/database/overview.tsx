/** How the database is doing, who of its replicas leads, and how to reach it. */

import { useMutation, useQuery } from '@tanstack/react-query'
import { Eye, EyeOff, ScrollText } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { Link } from 'react-router'
import { backupsQuery, connectionQuery, type Connection, type Database } from '../../api/databases'
import { databases } from '../../api/databases'
import { queries } from '../../api/queries'
import { podWords } from '../../lib/plain'
import { changeBlocked, refresh } from '../../lib/database-actions'
import { age, bytes, inCores, parseBytes, parseCpu } from '../../lib/units'
import { Button, IconButton, IconLink } from '../../ui/button'
import { Card, CopyButton, Plain, Skeleton } from '../../ui/bits'
import { Switch } from '../../ui/field'
import { phaseWord } from '../../ui/status'
import { toast } from '../../ui/toast'
import shared from '../app/overview.module.css'
import pods from '../app/pods.module.css'
import { useDatabase } from './database'
import css from './overview.module.css'
import { DrillLine } from './drill'

export default function OverviewTab() {
  const database = useDatabase()
  return (
    <div className={shared.grid}>
      {database.message && <Why database={database} />}
      <Replicas database={database} />
      <div className={shared.pair}>
        <Access database={database} />
        <Shape database={database} />
      </div>
    </div>
  )
}

const Why = ({ database }: { database: Database }) => (
  <section className={shared.why} data-phase={database.phase} role="status">
    <div className="grow">
      <h2>{database.phase === 'error' ? 'This database needs you' : phaseWord(database.phase)}</h2>
      <p>
        <Plain text={database.message} />
      </p>
    </div>
    {database.phase === 'error' && (
      <Button asChild size="s">
        <Link to={`/w/${database.workspace}/databases/${database.name}/logs`}>
          <ScrollText aria-hidden />
          Logs
        </Link>
      </Button>
    )}
  </section>
)

const ROLES = { primary: 'Primary', secondary: 'Replica' } as const

/** How far a replica is behind, in words. */
const lag = (seconds: number | null, behind: number | null): string => {
  if (seconds === null && behind === null) return '—'
  const size = behind ? ` (${bytes(behind)})` : ''
  if ((seconds ?? 0) < 1 && (behind ?? 0) < 1024 ** 2) return `up to date${size}`
  return seconds === null ? bytes(behind ?? 0) : `${seconds.toFixed(1)} s${size}`
}

const Replicas = ({ database }: { database: Database }) => {
  const base = `/w/${database.workspace}/databases/${database.name}`
  return (
    <Card title="Replicas" flush>
      {database.members.length === 0 ? (
        <p className={pods.none}>
          {database.phase === 'stopped' ? 'A stopped database has no pods. Its data waits.' : 'No pods yet.'}
        </p>
      ) : (
        <div className={pods.scroll}>
          <table className={pods.table}>
            <thead>
              <tr>
                <th>Pod</th>
                <th>Role</th>
                <th>State</th>
                <th>Behind</th>
                <th>Restarts</th>
                <th>Age</th>
                <th>
                  <span className="sr-only">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {database.members.map(member => (
                <tr key={member.pod}>
                  <td className="mono">{member.pod}</td>
                  <td>
                    {member.role ? (
                      <span className={css.role} data-role={member.role}>
                        {ROLES[member.role]}
                      </span>
                    ) : (
                      <span className="faint">not known yet</span>
                    )}
                  </td>
                  <td>
                    <span className={pods.state} data-tone={member.ready ? 'alive' : 'coming'}>
                      {podWords(member.phase, member.ready)}
                    </span>
                  </td>
                  <td className="nums muted">
                    {member.role === 'primary' ? '—' : lag(member.lagSeconds, member.lagBytes)}
                  </td>
                  <td className="nums" data-many={member.restarts > 3 || undefined}>
                    {member.restarts}
                  </td>
                  <td className="nums muted">{member.createdAt ? age(member.createdAt) : '—'}</td>
                  <td>
                    <span className={pods.actions}>
                      <IconLink
                        to={`${base}/logs?pod=${member.pod}`}
                        label={`Logs of ${member.pod}`}
                        icon={<ScrollText />}
                      />
                    </span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  )
}

/** A value that is hidden until it is asked for. */
const Secret = ({ value, label }: { value: string; label: string }) => {
  const [shown, setShown] = useState(false)
  return (
    <>
      <span className="grow truncate mono" title={shown ? value : undefined}>
        {shown ? value : '••••••••••••'}
      </span>
      <IconButton
        size="s"
        label={shown ? `Hide the ${label}` : `Show the ${label}`}
        icon={shown ? <EyeOff /> : <Eye />}
        onClick={() => setShown(!shown)}
      />
      <CopyButton text={value} label={`Copy the ${label}`} />
    </>
  )
}

/** A connection string with the password left out. */
const masked = (url: string, password: string) =>
  password === '' ? url : url.replace(encodeURIComponent(password), '••••').replace(password, '••••')

const Access = ({ database }: { database: Database }) => {
  const { data, error } = useQuery(connectionQuery(database.workspace, database.name))
  return (
    <Card title="Connect" aside={<External database={database} />}>
      {data ? (
        <ConnectionRows data={data} />
      ) : error ? (
        <p className="small muted">
          <Plain text={error.message} />
        </p>
      ) : (
        <Skeleton height={120} />
      )}
    </Card>
  )
}

const Row = ({ name, children }: { name: string; children: ReactNode }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)

const Copied = ({ text, label }: { text: string; label: string }) => (
  <>
    <span className="grow truncate mono" title={text}>
      {text}
    </span>
    <CopyButton text={text} label={`Copy the ${label}`} />
  </>
)

const Url = ({ url, password, label }: { url: string; password: string; label: string }) => (
  <>
    <span className="grow truncate mono" title={masked(url, password)}>
      {masked(url, password)}
    </span>
    <CopyButton text={url} label={`Copy the ${label}`} />
  </>
)

const ConnectionRows = ({ data }: { data: Connection }) => (
  <dl className={css.rows}>
    <Row name="Inside">
      <Url url={data.url} password={data.password} label="connection string" />
    </Row>
    {data.externalUrl && (
      <Row name="Outside">
        <Url url={data.externalUrl} password={data.password} label="outside connection string" />
      </Row>
    )}
    <Row name="Host">
      <Copied text={`${data.host}:${data.port}`} label="host" />
    </Row>
    <Row name="User">
      <Copied text={data.user} label="user" />
    </Row>
    <Row name="Password">
      <Secret value={data.password} label="password" />
    </Row>
    <Row name="Secret">
      <Copied text={data.secret} label="name of the Secret" />
    </Row>
  </dl>
)

const External = ({ database }: { database: Database }) => {
  const { workspace, name } = database
  const set = useMutation({
    mutationFn: (on: boolean) => databases.act(workspace, name, 'external', { on }),
    onSuccess: (_, on) => {
      refresh(workspace, name)
      void queries.invalidateQueries({ queryKey: connectionQuery(workspace, name).queryKey })
      toast.done(on ? `${name} has an address outside of the cloud` : `${name} is reached from inside only`)
    },
    onError: error => toast.trouble(`Could not change the outside address of ${name}`, error),
  })
  return (
    <Switch
      label="Outside address"
      checked={set.isPending ? set.variables : database.external !== null}
      onChange={on => set.mutate(on)}
      blocked={changeBlocked(database)}
    />
  )
}

const Shape = ({ database }: { database: Database }) => {
  const { data: backups, error } = useQuery(backupsQuery(database.workspace, database.name))
  const each = `${inCores(parseCpu(database.cpu) ?? 0)}, ${bytes(parseBytes(database.memory) ?? 0)}`
  const rows: [string, ReactNode][] = [
    ['Each replica', `${each}, ${bytes(parseBytes(database.storage) ?? 0)} storage`],
    ['Commits', database.sync ? 'wait for a replica' : 'do not wait for replicas'],
    [
      'Last proved',
      backups ? (
        <DrillLine key="drill" drill={backups.drill} />
      ) : error ? (
        'cannot be told'
      ) : (
        <Skeleton key="wait" width="60%" />
      ),
    ],
    ['Created', database.createdAt ? new Date(database.createdAt).toLocaleString() : '—'],
  ]
  return (
    <Card title="Shape">
      <dl className={shared.shape}>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Card>
  )
}
