/** What is done to an app as a whole. */

import { useQuery } from '@tanstack/react-query'
import { Play, RotateCw, Square, Trash2 } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { useNavigate } from 'react-router'
import { draftQuery } from '../../api/queries'
import type { App } from '../../api/types'
import { Replicas } from '../../form/sections'
import { restartBlocked, scaleBlocked, useAct, useScale } from '../../lib/actions'
import { Button } from '../../ui/button'
import { Pips } from '../../ui/status'
import { DeleteDialog } from '../delete-dialog'
import { useApp } from './app'
import css from './settings.module.css'

/** One thing that can be done, with what it means beside it. */
export const Setting = ({
  title,
  text,
  danger,
  children,
}: {
  title: string
  text: ReactNode
  danger?: boolean
  children: ReactNode
}) => (
  <section className={css.setting} data-danger={danger || undefined} aria-label={title}>
    <div className="grow">
      <h2>{title}</h2>
      <p className="muted">{text}</p>
    </div>
    {children}
  </section>
)

export default function SettingsTab() {
  const app = useApp()
  const act = useAct(app)
  const navigate = useNavigate()
  const [deleting, setDeleting] = useState(false)
  const busy = (verb: string) => act.isPending && act.variables === verb
  return (
    <div className={css.list}>
      <Scale app={app} />
      <Setting
        title="Restart"
        text="Replaces the pods one after another. With more than one replica nobody notices."
      >
        <Button
          icon={<RotateCw />}
          busy={busy('restart')}
          blocked={restartBlocked(app)}
          onClick={() => act.mutate('restart')}
        >
          Restart
        </Button>
      </Setting>
      {app.phase === 'stopped' ? (
        <Setting title="Start" text="Brings the app back as it was when it was stopped.">
          <Button look="primary" icon={<Play />} busy={busy('start')} onClick={() => act.mutate('start')}>
            Start
          </Button>
        </Setting>
      ) : (
        <Setting
          title="Stop"
          text="Ends all pods. Settings, addresses and stored data stay, and so does the way back."
        >
          <Button icon={<Square />} busy={busy('stop')} onClick={() => act.mutate('stop')}>
            Stop
          </Button>
        </Setting>
      )}
      <Setting
        danger
        title="Delete"
        text={
          app.kind === 'StatefulSet'
            ? 'Removes the app, its addresses, its settings and all data in its storage.'
            : 'Removes the app, its addresses and its settings.'
        }
      >
        <Button look="danger" icon={<Trash2 />} onClick={() => setDeleting(true)}>
          Delete…
        </Button>
      </Setting>
      <DeleteDialog
        app={app}
        open={deleting}
        onOpenChange={setDeleting}
        onDeleted={() => void navigate(`/w/${app.workspace}`)}
      />
    </div>
  )
}

const Scale = ({ app }: { app: App }) => {
  const { data: draft } = useQuery(draftQuery(app.workspace, app.name))
  const [typed, setTyped] = useState<string>()
  const scale = useScale(app)
  const value = typed ?? String(app.replicas.desired)
  const count = /^\d+$/.test(value) ? Number(value) : undefined
  const right = count !== undefined && count <= 100
  const blocked =
    scaleBlocked(app) ?? (draft?.autoscale ? 'The autoscaler sets the number of replicas' : undefined)
  const same = count === app.replicas.desired
  return (
    <Setting
      title="Scale"
      text={
        <>
          {blocked ?? 'How many copies of the app share the work.'}
          <span className={css.pips}>
            <Pips phase={app.phase} {...app.replicas} />
          </span>
        </>
      }
    >
      <form
        className={css.scale}
        onSubmit={event => {
          event.preventDefault()
          if (blocked || !right || same) return
          scale.mutate(count, { onSuccess: () => setTyped(undefined) })
        }}
      >
        <Replicas
          value={value}
          onChange={setTyped}
          blocked={blocked}
          error={right ? undefined : 'A whole number up to 100'}
        />
        <Button
          type="submit"
          look="primary"
          busy={scale.isPending}
          blocked={
            blocked ?? (same ? 'That is how many there are' : right ? undefined : 'Not a number of replicas')
          }
        >
          Scale
        </Button>
      </form>
    </Setting>
  )
}
