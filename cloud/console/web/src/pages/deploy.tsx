/** The form of a first deploy. `?image=…&name=…&port=…&database=…&bucket=…` fills it in, so that links can. */

import { useMutation, useQuery } from '@tanstack/react-query'
import { Rocket } from 'lucide-react'
import { useState } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import { api, ApiError } from '../api/client'
import { appsQuery, queries, sessionQuery } from '../api/queries'
import type { AppSpec } from '../api/types'
import { emptyDraft, engineOf, nameFor, newPort, toSpec, type Draft } from '../form/draft'
import { AppForm } from '../form/form'
import { Preview } from '../form/preview'
import { problems as findProblems } from '../form/problems'
import { bytes, cores, parseBytes, parseCpu, plural } from '../lib/units'
import { Button } from '../ui/button'
import { Crumbs, Trouble } from '../ui/bits'
import { toast } from '../ui/toast'
import css from './deploy.module.css'

const draftFrom = (params: URLSearchParams): Draft => {
  const draft = emptyDraft()
  const image = params.get('image') ?? ''
  return {
    ...draft,
    image,
    name: params.get('name') ?? nameFor(image, new Set()),
    ports: params.has('port') ? [newPort(params.get('port') ?? '')] : draft.ports,
    database: engineOf(params.get('database') ?? ''),
    bucketOn: params.has('bucket'),
    bucketName: params.get('bucket') ?? '',
  }
}

const sizeInWords = (spec: AppSpec): string => {
  const size = `${cores(parseCpu(spec.cpu ?? '') ?? 0)} cores and ${bytes(parseBytes(spec.memory ?? '') ?? 0)}`
  const count = plural(spec.autoscale?.max ?? spec.replicas ?? 1, 'replica')
  return `${count}${spec.autoscale ? ' at most' : ''}, each up to ${size}`
}

/** Brings the first wrong field into sight. */
const showFirstProblem = () =>
  requestAnimationFrame(() => document.querySelector<HTMLElement>('[aria-invalid=true]')?.focus())

export default function DeployPage() {
  const { workspace = 'default' } = useParams()
  const [params] = useSearchParams()
  const navigate = useNavigate()
  const { data: session } = useQuery(sessionQuery())
  const { data: apps = [] } = useQuery(appsQuery(workspace))
  const [draft, setDraft] = useState(() => draftFrom(params))
  const [named, setNamed] = useState(params.has('name'))
  const [asked, setAsked] = useState(false)

  const taken = new Set(apps.map(app => app.name))
  const wrong = findProblems(draft, taken)
  const right = Object.keys(wrong).length === 0
  const spec = toSpec(draft)
  const create = useMutation({
    mutationFn: () => api.create(workspace, spec),
    onSuccess: app => {
      queries.setQueryData(appsQuery(workspace).queryKey, old => [
        ...(old ?? []).filter(a => a.name !== app.name),
        app,
      ])
      toast.done(`${app.name} is on its way`)
      void navigate(`/w/${workspace}/apps/${app.name}`)
    },
    onError: showFirstProblem,
  })
  const change = (part: Partial<Draft>) => {
    create.reset()
    if (part.name !== undefined) setNamed(part.name !== '')
    const name = part.image !== undefined && !named ? { name: nameFor(part.image, taken) } : {}
    setDraft(old => ({ ...old, ...part, ...name }))
  }
  const submit = () => {
    setAsked(true)
    if (right) create.mutate()
    else showFirstProblem()
  }
  const refused = create.error instanceof ApiError ? create.error.fields : []
  const left = Object.keys(wrong).length
  return (
    <form
      className={css.page}
      noValidate
      onSubmit={event => {
        event.preventDefault()
        submit()
      }}
    >
      <title>Deploy an app · Sealos</title>
      <header className={css.header}>
        <Crumbs to={`/w/${workspace}`} parent="Apps" here="new" />
        <h1>Deploy an app</h1>
      </header>
      <div className={css.main}>
        {create.error && (
          <Trouble
            error={create.error}
            title={refused.length > 0 ? 'One more thing to settle' : 'The app was not deployed'}
          />
        )}
        <AppForm
          draft={draft}
          onChange={change}
          problems={wrong}
          refused={refused}
          all={asked}
          existing={false}
          workspace={workspace}
          domain={session?.domain ?? '…'}
        />
      </div>
      <aside className={css.aside} aria-label="What will be made">
        <Preview workspace={workspace} spec={right ? spec : undefined} />
      </aside>
      <footer className={css.footer}>
        <p className="small muted grow nums">
          {asked && left > 0 ? `${plural(left, 'field')} to correct` : sizeInWords(spec)}
        </p>
        <Button asChild look="quiet">
          <Link to={`/w/${workspace}`}>Cancel</Link>
        </Button>
        <Button look="primary" type="submit" icon={<Rocket />} busy={create.isPending}>
          Deploy
        </Button>
      </footer>
    </form>
  )
}
