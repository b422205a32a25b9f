/** The same form as for the first deploy, filled with what runs. */

import { useMutation, useQuery } from '@tanstack/react-query'
import { Undo2, Upload } from 'lucide-react'
import { useState } from 'react'
import { api, ApiError } from '../../api/client'
import { draftQuery, queries, sessionQuery } from '../../api/queries'
import type { App, AppSpec } from '../../api/types'
import { changedParts } from '../../form/changes'
import { draftOf, toSpec, type Draft } from '../../form/draft'
import { AppForm } from '../../form/form'
import { Preview } from '../../form/preview'
import { problems as findProblems } from '../../form/problems'
import { plural } from '../../lib/units'
import { Button } from '../../ui/button'
import { Skeleton, Trouble } from '../../ui/bits'
import { toast } from '../../ui/toast'
import { useApp } from './app'
import css from './configuration.module.css'

const NONE: ReadonlySet<string> = new Set()

export default function ConfigurationTab() {
  const app = useApp()
  // What the form begins with must be what runs now, not what ran when the page was last here.
  const { data, error, refetch, isFetchedAfterMount } = useQuery({
    ...draftQuery(app.workspace, app.name),
    staleTime: 0,
    refetchOnWindowFocus: false,
  })
  if (error && !data)
    return <Trouble error={error} title="The configuration could not be read" retry={() => void refetch()} />
  if (!data || !isFetchedAfterMount) return <Skeleton height={320} />
  return <Editor app={app} spec={data} />
}

const Editor = ({ app, spec: current }: { app: App; spec: AppSpec }) => {
  const [draft, setDraft] = useState(() => draftOf(current))
  const [asked, setAsked] = useState(false)
  const { data: session } = useQuery(sessionQuery())
  const wrong = findProblems(draft, NONE)
  const right = Object.keys(wrong).length === 0
  const spec = toSpec(draft)
  const changes = changedParts(toSpec(draftOf(current)), spec)
  const update = useMutation({
    mutationFn: () => api.update(app.workspace, spec),
    onSuccess: () => {
      queries.setQueryData(draftQuery(app.workspace, app.name).queryKey, spec)
      setAsked(false)
      toast.done(`${app.name} is being changed`, 'The old version serves until the new one is ready.')
    },
  })
  const change = (part: Partial<Draft>) => {
    update.reset()
    setDraft(old => ({ ...old, ...part }))
  }
  const submit = () => {
    setAsked(true)
    if (right && changes.length > 0) update.mutate()
    else requestAnimationFrame(() => document.querySelector<HTMLElement>('[aria-invalid=true]')?.focus())
  }
  return (
    <form
      className={css.page}
      noValidate
      onSubmit={event => {
        event.preventDefault()
        submit()
      }}
    >
      {update.error && (
        <div className={css.wide}>
          <Trouble error={update.error} title="The change was not made" />
        </div>
      )}
      <AppForm
        draft={draft}
        onChange={change}
        problems={wrong}
        refused={update.error instanceof ApiError ? update.error.fields : []}
        all={asked}
        existing
        workspace={app.workspace}
        domain={session?.domain ?? '…'}
      />
      <aside className={css.aside} aria-label="What will be made">
        <Preview workspace={app.workspace} spec={right ? spec : undefined} />
      </aside>
      <footer className={css.footer}>
        <p className="small muted grow">
          {asked && !right
            ? `${plural(Object.keys(wrong).length, 'field')} to correct`
            : changes.length > 0
              ? `Changed: ${changes.join(', ')}`
              : 'Nothing changed yet'}
        </p>
        <Button
          look="quiet"
          icon={<Undo2 />}
          blocked={changes.length === 0 ? 'Nothing to undo' : undefined}
          onClick={() => setDraft(draftOf(current))}
        >
          Undo
        </Button>
        <Button
          look="primary"
          type="submit"
          icon={<Upload />}
          busy={update.isPending}
          blocked={changes.length === 0 ? 'Nothing changed yet' : undefined}
        >
          Deploy the change
        </Button>
      </footer>
    </form>
  )
}
