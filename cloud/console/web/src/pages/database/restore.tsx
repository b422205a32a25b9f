/** Brings a backup, or a moment, back: beside the database, never over it. */

import { useMutation } from '@tanstack/react-query'
import { History } from 'lucide-react'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { ApiError } from '../../api/client'
import { databases, type Backup, type Backups, type Database } from '../../api/databases'
import { nameProblem } from '../../form/problems'
import { refresh } from '../../lib/database-actions'
import { localInput } from '../../lib/times'
import { Button } from '../../ui/button'
import { Trouble } from '../../ui/bits'
import { Dialog } from '../../ui/dialog'
import { Field, Input } from '../../ui/field'
import { toast } from '../../ui/toast'
import css from './backups.module.css'

const NONE: ReadonlySet<string> = new Set()

interface Props {
  database: Database
  from: Backup | 'time'
  window: Backups['window']
  onClose: () => void
}

export const RestoreDialog = ({ database, from, window, onClose }: Props) => {
  const { workspace, name } = database
  const navigate = useNavigate()
  const [to, setTo] = useState(`${name}-restored`)
  const [time, setTime] = useState(() => localInput(window?.to ?? new Date().toISOString()))
  const at = new Date(time)
  const outside =
    window !== null && (at < new Date(localInput(window.from)) || at > new Date(localInput(window.to)))
  const wrong = nameProblem(to, NONE)
  const timeWrong =
    from !== 'time'
      ? undefined
      : Number.isNaN(at.getTime())
        ? 'A day and a time'
        : outside
          ? 'Outside of what the backups reach'
          : undefined
  const restore = useMutation({
    mutationFn: () =>
      databases.restore(workspace, name, {
        to,
        ...(from === 'time' ? { time: at.toISOString() } : { backup: from.name }),
      }),
    onSuccess: made => {
      refresh(workspace, made.name)
      toast.done(`${made.name} is being restored`)
      void navigate(`/w/${workspace}/databases/${made.name}`)
    },
  })
  const refused = restore.error instanceof ApiError ? restore.error.fields : []
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={from === 'time' ? 'Restore to a time' : 'Restore this backup'}
      description={`A new database comes up beside ${name}, which goes on as it is.`}
    >
      <form
        className={css.fields}
        noValidate
        onSubmit={event => {
          event.preventDefault()
          if (!wrong && !timeWrong) restore.mutate()
        }}
      >
        {restore.error && <Trouble error={restore.error} title="It was not restored" />}
        {from === 'time' ? (
          <Field
            label="As it was at"
            error={timeWrong}
            help={
              window
                ? `From ${new Date(window.from).toLocaleString()} to ${new Date(window.to).toLocaleString()}`
                : undefined
            }
          >
            {props => (
              <Input
                {...props}
                type="datetime-local"
                step={1}
                {...(window ? { min: localInput(window.from), max: localInput(window.to) } : {})}
                value={time}
                onChange={event => setTime(event.target.value)}
              />
            )}
          </Field>
        ) : (
          <p className="small muted">
            <span className="mono">{from.name}</span>
            {from.startedAt && `, made ${new Date(from.startedAt).toLocaleString()}`}
          </p>
        )}
        <Field
          label="Name of the new database"
          error={wrong ?? refused.find(({ field }) => field === 'name')?.message}
        >
          {props => <Input {...props} mono value={to} onChange={event => setTo(event.target.value)} />}
        </Field>
        <footer className={css.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            type="submit"
            icon={<History />}
            busy={restore.isPending}
            blocked={wrong ?? timeWrong}
          >
            Restore beside
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
