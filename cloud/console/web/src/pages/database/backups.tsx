/** The copies that are kept elsewhere, how they are made, and the proof that they can be brought back. */

import { useMutation, useQuery } from '@tanstack/react-query'
import { DatabaseBackup, History, ShieldCheck, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { backupsQuery, databases, type Backup, type Backups, type Database } from '../../api/databases'
import { queries } from '../../api/queries'
import { askBlocked } from '../../lib/database-actions'
import { age, bytes } from '../../lib/units'
import { Button, IconButton } from '../../ui/button'
import { Card, Empty, Plain, Skeleton, Trouble } from '../../ui/bits'
import { Dialog } from '../../ui/dialog'
import { toast } from '../../ui/toast'
import pods from '../app/pods.module.css'
import { useDatabase } from './database'
import { DrillLine, seconds } from './drill'
import { RestoreDialog } from './restore'
import { ScheduleCard } from './schedule'
import css from './backups.module.css'

export default function BackupsTab() {
  const database = useDatabase()
  const { data, error, refetch } = useQuery(backupsQuery(database.workspace, database.name))
  if (error && !data)
    return <Trouble error={error} title="The backups could not be read" retry={() => void refetch()} />
  if (!data) return <Skeleton height={240} />
  return (
    <div className={css.page}>
      <Proof database={database} backups={data} />
      <List database={database} backups={data} />
      <ScheduleCard database={database} schedule={data.schedule} />
    </div>
  )
}

const again = ({ workspace, name }: Database) =>
  void queries.invalidateQueries({ queryKey: backupsQuery(workspace, name).queryKey })

/** What a glance should tell: how far back, and whether it has been tried. */
const Proof = ({ database, backups }: { database: Database; backups: Backups }) => {
  const done = backups.backups.filter(({ phase }) => phase === 'done')
  const drill = useMutation({
    mutationFn: () => databases.drill(database.workspace, database.name),
    onSuccess: () => {
      again(database)
      toast.done('A backup is being proved', 'It is restored into a throw-away database and checked.')
    },
    onError: error => toast.trouble('The backup could not be proved', error),
  })
  return (
    <section className={css.proof} aria-label="What backups give">
      <div>
        <h3>Go back to</h3>
        <p>
          {backups.window
            ? `any second since ${new Date(backups.window.from).toLocaleString()}`
            : done.length > 0
              ? `one of ${done.length} backups`
              : 'nothing yet'}
        </p>
      </div>
      <div>
        <h3>Last proved</h3>
        <p>
          <DrillLine drill={backups.drill} />
        </p>
      </div>
      <Button
        icon={<ShieldCheck />}
        busy={drill.isPending}
        blocked={done.length === 0 ? 'There is no backup to prove yet' : undefined}
        onClick={() => drill.mutate()}
      >
        Prove it now
      </Button>
    </section>
  )
}

const PHASES = { running: 'Being made', done: 'Complete', failed: 'Failed', deleting: 'Deleting' } as const
const TONES = { running: 'coming', done: 'alive', failed: 'trouble', deleting: 'rest' } as const

const List = ({ database, backups }: { database: Database; backups: Backups }) => {
  const { workspace, name } = database
  const [restoring, setRestoring] = useState<Backup | 'time'>()
  const [deleting, setDeleting] = useState<Backup>()
  const make = useMutation({
    mutationFn: () => databases.backUp(workspace, name),
    onSuccess: () => {
      again(database)
      toast.done(`${name} is being backed up`)
    },
    onError: error => toast.trouble(`Could not back up ${name}`, error),
  })
  return (
    <Card
      flush
      title="Backups"
      aside={
        <div className="row">
          <Button
            icon={<History />}
            size="s"
            blocked={backups.window ? undefined : 'There is no log archive to go back in'}
            onClick={() => setRestoring('time')}
          >
            Restore to a time
          </Button>
          <Button
            look="primary"
            size="s"
            icon={<DatabaseBackup />}
            busy={make.isPending}
            blocked={askBlocked(database)}
            onClick={() => make.mutate()}
          >
            Back up now
          </Button>
        </div>
      }
    >
      {backups.backups.length === 0 ? (
        <Empty title="No backups yet">
          <p>One is made when you ask for it, and by the schedule below.</p>
        </Empty>
      ) : (
        <div className={pods.scroll}>
          <table className={pods.table}>
            <thead>
              <tr>
                <th>Backup</th>
                <th>State</th>
                <th>Made</th>
                <th>Took</th>
                <th>Size</th>
                <th>Proved</th>
                <th>
                  <span className="sr-only">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {backups.backups.map(backup => (
                <Row
                  key={backup.name}
                  backup={backup}
                  onRestore={() => setRestoring(backup)}
                  onDelete={() => setDeleting(backup)}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {restoring && (
        <RestoreDialog
          database={database}
          from={restoring}
          window={backups.window}
          onClose={() => setRestoring(undefined)}
        />
      )}
      {deleting && (
        <DeleteBackup database={database} backup={deleting} onClose={() => setDeleting(undefined)} />
      )}
    </Card>
  )
}

const took = ({ startedAt, finishedAt }: Backup): string =>
  startedAt && finishedAt ? seconds((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000) : '—'

const Row = ({
  backup,
  onRestore,
  onDelete,
}: {
  backup: Backup
  onRestore: () => void
  onDelete: () => void
}) => (
  <tr>
    <td>
      <span className="mono">{backup.name}</span>
      <span className={`${css.method} faint`}>{backup.method}</span>
      {backup.message && backup.phase === 'failed' && (
        <p className={css.why}>
          <Plain text={backup.message} />
        </p>
      )}
    </td>
    <td>
      <span className={pods.state} data-tone={TONES[backup.phase]}>
        {PHASES[backup.phase]}
      </span>
    </td>
    <td
      className="nums muted"
      title={backup.startedAt ? new Date(backup.startedAt).toLocaleString() : undefined}
    >
      {backup.startedAt ? `${age(backup.startedAt)} ago` : '—'}
    </td>
    <td className="nums muted">{took(backup)}</td>
    <td className="nums">{backup.sizeBytes === null ? '—' : bytes(backup.sizeBytes)}</td>
    <td>
      {backup.drill ? (
        <DrillLine drill={{ ...backup.drill, detail: '' }} />
      ) : (
        <span className="faint">—</span>
      )}
    </td>
    <td>
      <span className={pods.actions}>
        <IconButton
          size="s"
          label={`Restore ${backup.name}`}
          icon={<History />}
          blocked={backup.phase === 'done' ? undefined : 'Only a complete backup can be restored'}
          onClick={onRestore}
        />
        <IconButton size="s" label={`Delete ${backup.name}`} icon={<Trash2 />} onClick={onDelete} />
      </span>
    </td>
  </tr>
)

const DeleteBackup = ({
  database,
  backup,
  onClose,
}: {
  database: Database
  backup: Backup
  onClose: () => void
}) => {
  const remove = useMutation({
    mutationFn: () => databases.deleteBackup(database.workspace, database.name, backup.name),
    onSuccess: () => {
      again(database)
      onClose()
      toast.done(`${backup.name} is deleted`)
    },
  })
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title="Delete this backup?"
      description={`${backup.name} will be gone, and with it every time that only it leads back to.`}
      footer={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button look="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
            Delete for good
          </Button>
        </>
      }
    >
      {remove.error && <Trouble error={remove.error} title="The backup was not deleted" />}
    </Dialog>
  )
}
