/** What is done to a database as a whole. */

import { useMutation } from '@tanstack/react-query'
import { ArrowLeftRight, KeyRound, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { connectionQuery, databases, databasesQuery, type Database } from '../../api/databases'
import { queries } from '../../api/queries'
import { Replicas } from '../../form/sections'
import { askBlocked, changeBlocked, switchBlocked, useDatabaseAct } from '../../lib/database-actions'
import { bytes, cores, parseBytes, parseCpu, quantity } from '../../lib/units'
import { Button } from '../../ui/button'
import { Trouble } from '../../ui/bits'
import { Dialog } from '../../ui/dialog'
import { Field, Input, Switch } from '../../ui/field'
import { toast } from '../../ui/toast'
import { Setting } from '../app/settings'
import css from '../app/settings.module.css'
import { useDatabase } from './database'
import own from './settings.module.css'

export default function SettingsTab() {
  const database = useDatabase()
  const { name } = database
  const act = useDatabaseAct(database)
  const navigate = useNavigate()
  const [deleting, setDeleting] = useState(false)
  const [rotating, setRotating] = useState(false)
  const busy = (verb: string) => act.isPending && act.variables.verb === verb
  return (
    <div className={css.list}>
      <Scale database={database} />
      <Size database={database} />
      <Storage database={database} />
      <Setting
        title="Switch over"
        text="Another replica becomes the primary. Clients are sent there; writes pause for a moment."
      >
        <Button
          icon={<ArrowLeftRight />}
          busy={busy('switchover')}
          blocked={switchBlocked(database)}
          onClick={() =>
            act.mutate({
              verb: 'switchover',
              what: `switch ${name} over`,
              done: `Another replica of ${name} takes over`,
            })
          }
        >
          Switch over
        </Button>
      </Setting>
      <Setting
        title="Rotate the password"
        text="Makes a new one and puts it into the Secret. Apps that read the Secret need a restart."
      >
        <Button icon={<KeyRound />} blocked={askBlocked(database)} onClick={() => setRotating(true)}>
          Rotate…
        </Button>
      </Setting>
      <Setting danger title="Delete" text="Removes the database, its replicas and all of its data.">
        <Button look="danger" icon={<Trash2 />} onClick={() => setDeleting(true)}>
          Delete…
        </Button>
      </Setting>
      <Dialog
        open={rotating}
        onOpenChange={setRotating}
        title="Rotate the password?"
        description="The old one stops working at once. Whatever has it copied must be given the new one."
        footer={
          <>
            <Button onClick={() => setRotating(false)}>Keep it</Button>
            <Button
              look="primary"
              busy={busy('password')}
              onClick={() =>
                act.mutate(
                  {
                    verb: 'password',
                    what: `rotate the password of ${name}`,
                    done: `${name} has a new password`,
                  },
                  {
                    onSettled: () => {
                      setRotating(false)
                      const { queryKey } = connectionQuery(database.workspace, name)
                      void queries.invalidateQueries({ queryKey })
                    },
                  },
                )
              }
            >
              Rotate
            </Button>
          </>
        }
      />
      {deleting && (
        <DeleteDialog
          database={database}
          onClose={() => setDeleting(false)}
          onDeleted={() => void navigate(`/w/${database.workspace}/databases`)}
        />
      )}
    </div>
  )
}

const Scale = ({ database }: { database: Database }) => {
  const [typed, setTyped] = useState<string>()
  const act = useDatabaseAct(database)
  const value = typed ?? String(database.replicas.desired)
  const count = /^\d+$/.test(value) ? Number(value) : undefined
  const right = count !== undefined && count >= 1 && count <= 9
  const same = count === database.replicas.desired
  const blocked = changeBlocked(database)
  return (
    <Setting
      title="Replicas"
      text="More copies of the data: one takes writes, the others follow and stand by to take over."
    >
      <form
        className={css.scale}
        onSubmit={event => {
          event.preventDefault()
          if (blocked || !right || same) return
          act.mutate(
            {
              verb: 'scale',
              what: `scale ${database.name}`,
              done: `${database.name} is being scaled`,
              body: { replicas: count },
            },
            { onSuccess: () => setTyped(undefined) },
          )
        }}
      >
        <Replicas
          value={value}
          onChange={setTyped}
          blocked={blocked}
          error={right || blocked ? undefined : 'From 1 to 9'}
        />
        <Button
          type="submit"
          look="primary"
          busy={act.isPending}
          blocked={blocked ?? (same ? 'That is how many there are' : right ? undefined : 'From 1 to 9')}
        >
          Scale
        </Button>
      </form>
    </Setting>
  )
}

const Size = ({ database }: { database: Database }) => {
  const [cpu, setCpu] = useState<string>()
  const [memory, setMemory] = useState<string>()
  const act = useDatabaseAct(database)
  const nowCpu = parseCpu(database.cpu) ?? 0
  const nowMemory = parseBytes(database.memory) ?? 0
  const wantedCpu = parseCpu(cpu ?? cores(nowCpu))
  const wantedMemory = parseBytes(memory ?? quantity(nowMemory))
  const right = wantedCpu !== undefined && wantedMemory !== undefined
  const same = wantedCpu === nowCpu && wantedMemory === nowMemory
  const blocked = changeBlocked(database)
  return (
    <Setting
      title="Size"
      text="What each replica may use. Replicas are replaced one after another, the primary last."
    >
      <form
        className={own.size}
        onSubmit={event => {
          event.preventDefault()
          if (blocked || !right || same) return
          act.mutate(
            {
              verb: 'resize',
              what: `resize ${database.name}`,
              done: `${database.name} is being resized`,
              body: { cpu: `${wantedCpu}m`, memory: quantity(wantedMemory) },
            },
            {
              onSuccess: () => {
                setCpu(undefined)
                setMemory(undefined)
              },
            },
          )
        }}
      >
        <Field label="Cores" error={wantedCpu === undefined ? 'As 0.5 or 2' : undefined}>
          {props => (
            <Input {...props} value={cpu ?? cores(nowCpu)} onChange={event => setCpu(event.target.value)} />
          )}
        </Field>
        <Field label="Memory" error={wantedMemory === undefined ? 'As 512Mi or 2Gi' : undefined}>
          {props => (
            <Input
              {...props}
              value={memory ?? quantity(nowMemory)}
              onChange={event => setMemory(event.target.value)}
            />
          )}
        </Field>
        <Button
          type="submit"
          look="primary"
          busy={act.isPending}
          blocked={blocked ?? (right ? (same ? 'That is its size' : undefined) : 'Not a size')}
        >
          Resize
        </Button>
      </form>
    </Setting>
  )
}

const Storage = ({ database }: { database: Database }) => {
  const [typed, setTyped] = useState<string>()
  const act = useDatabaseAct(database)
  const now = parseBytes(database.storage) ?? 0
  const wanted = parseBytes(typed ?? quantity(now), 'Gi')
  const wrong =
    wanted === undefined
      ? 'As 20Gi'
      : wanted < now
        ? `It can grow, not shrink: it has ${bytes(now)}`
        : undefined
  const blocked = changeBlocked(database)
  return (
    <Setting title="Storage" text="What each replica's data may take. It grows without a restart.">
      <form
        className={own.size}
        onSubmit={event => {
          event.preventDefault()
          if (blocked || wrong || wanted === undefined || wanted === now) return
          act.mutate(
            {
              verb: 'grow',
              what: `grow the storage of ${database.name}`,
              done: `The storage of ${database.name} grows`,
              body: { storage: quantity(wanted) },
            },
            { onSuccess: () => setTyped(undefined) },
          )
        }}
      >
        <Field label="Storage of a replica" error={wrong}>
          {props => (
            <Input
              {...props}
              value={typed ?? quantity(now)}
              onChange={event => setTyped(event.target.value)}
            />
          )}
        </Field>
        <Button
          type="submit"
          look="primary"
          busy={act.isPending}
          blocked={blocked ?? wrong ?? (wanted === now ? 'That is its size' : undefined)}
        >
          Grow
        </Button>
      </form>
    </Setting>
  )
}

const DeleteDialog = ({
  database,
  onClose,
  onDeleted,
}: {
  database: Database
  onClose: () => void
  onDeleted: () => void
}) => {
  const { workspace, name } = database
  const [typed, setTyped] = useState('')
  const [keep, setKeep] = useState(askBlocked(database) === undefined)
  const remove = useMutation({
    mutationFn: () => databases.delete(workspace, name, keep),
    onSuccess: () => {
      queries.setQueryData(databasesQuery(workspace).queryKey, old =>
        old?.filter(other => other.name !== name),
      )
      toast.done(`${name} is deleted`, keep ? 'Its last backup is kept.' : undefined)
      onDeleted()
    },
  })
  const blocked = typed === name ? undefined : 'Type the name of the database first'
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={`Delete ${name}?`}
      description={`The database, its replicas and all of its data will be gone. ${
        keep ? 'A last backup is made first, and it can be restored.' : 'This cannot be undone.'
      }`}
    >
      <form
        className={own.delete}
        onSubmit={event => {
          event.preventDefault()
          if (!blocked) remove.mutate()
        }}
      >
        {remove.error && <Trouble error={remove.error} title="The database was not deleted" />}
        <Switch
          label="Make and keep a last backup"
          checked={keep}
          onChange={setKeep}
          blocked={askBlocked(database)}
        />
        <Field label={`Type “${name}” to confirm`}>
          {props => <Input {...props} mono value={typed} onChange={event => setTyped(event.target.value)} />}
        </Field>
        <footer className={own.buttons}>
          <Button onClick={onClose}>Keep it</Button>
          <Button look="danger" type="submit" blocked={blocked} busy={remove.isPending}>
            Delete for good
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
