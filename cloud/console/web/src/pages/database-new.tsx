/** The form of a new database: which engine, how big, how many, how safe. */

import { useMutation, useQuery } from '@tanstack/react-query'
import { DatabaseZap } from 'lucide-react'
import { useState } from 'react'
import { Link, useNavigate, useParams, useSearchParams } from 'react-router'
import { ApiError } from '../api/client'
import { databases, databasesQuery, enginesQuery, type Engine } from '../api/databases'
import { databaseDraft, databaseProblems, toDatabaseSpec, type DatabaseDraft } from '../form/database-draft'
import { Section } from '../form/form'
import { Replicas } from '../form/sections'
import { SizeChoice } from '../form/size-choice'
import { Takes } from '../form/takes'
import { refresh } from '../lib/database-actions'
import { plural } from '../lib/units'
import { Button } from '../ui/button'
import { Crumbs, Skeleton, Trouble } from '../ui/bits'
import { EngineMark } from '../ui/engine'
import { Field, Input, Select, Switch } from '../ui/field'
import { toast } from '../ui/toast'
import { ScheduleFields } from './database/schedule'
import css from './database-new.module.css'
import page from './deploy.module.css'

export default function NewDatabasePage() {
  const { workspace = 'default' } = useParams()
  const { data: engines, error, refetch } = useQuery(enginesQuery())
  if (error && !engines)
    return (
      <div className={page.page}>
        <Trouble error={error} title="The engines could not be listed" retry={() => void refetch()} />
      </div>
    )
  if (!engines)
    return (
      <div className={page.page}>
        <Skeleton height={320} />
      </div>
    )
  return <Form workspace={workspace} engines={engines} />
}

const Form = ({ workspace, engines }: { workspace: string; engines: Engine[] }) => {
  const navigate = useNavigate()
  const [params] = useSearchParams()
  const { data: known = [] } = useQuery(databasesQuery(workspace))
  const [draft, setDraft] = useState(() => databaseDraft(engines, params.get('engine')))
  const [asked, setAsked] = useState(false)
  const [touched, setTouched] = useState(false)
  const engine = engines.find(({ name }) => name === draft.engine)
  const wrong = databaseProblems(draft, new Set(known.map(({ name }) => name)))
  const left = Object.keys(wrong).length
  const create = useMutation({
    mutationFn: () => databases.create(workspace, toDatabaseSpec(draft)),
    onSuccess: made => {
      refresh(workspace, made.name)
      toast.done(`${made.name} is on its way`)
      void navigate(`/w/${workspace}/databases/${made.name}`)
    },
  })
  const refused = create.error instanceof ApiError ? create.error.fields : []
  const set = (part: Partial<DatabaseDraft>) => {
    create.reset()
    setDraft(old => ({ ...old, ...part }))
  }
  const problem = (field: string) =>
    (asked || (touched && field === 'name') ? wrong[field] : undefined) ??
    refused.find(error => error.field === field)?.message
  const choose = (next: Engine) =>
    set({
      engine: next.name,
      version: next.versions[0] ?? '',
      sync: draft.sync && next.canSync,
    })
  return (
    <form
      className={page.page}
      noValidate
      onSubmit={event => {
        event.preventDefault()
        setAsked(true)
        if (left === 0) create.mutate()
        else requestAnimationFrame(() => document.querySelector<HTMLElement>('[aria-invalid=true]')?.focus())
      }}
    >
      <title>Create a database · Sealos</title>
      <header className={page.header}>
        <Crumbs to={`/w/${workspace}/databases`} parent="Databases" here="new" />
        <h1>Create a database</h1>
      </header>
      <div className={page.main}>
        {create.error && (
          <Trouble
            error={create.error}
            title={refused.length > 0 ? 'One more thing to settle' : 'The database was not created'}
          />
        )}
        <Section title="Engine">
          <fieldset className={css.engines}>
            <legend className="sr-only">Engine</legend>
            {engines.map(one => (
              <label key={one.name} className={css.engine}>
                <input
                  type="radio"
                  name="engine"
                  value={one.name}
                  checked={one.name === draft.engine}
                  onChange={() => choose(one)}
                />
                <EngineMark engine={one.name} size={38} />
                <span>
                  <strong>{one.title}</strong>
                  <span className="small muted">{one.about}</span>
                </span>
              </label>
            ))}
          </fieldset>
          <div className={css.two}>
            <Field
              label="Name"
              error={problem('name')}
              help="A name is for life; it is also the name of its host."
            >
              {props => (
                <Input
                  {...props}
                  mono
                  name="name"
                  placeholder="orders"
                  value={draft.name}
                  onChange={event => set({ name: event.target.value })}
                  onBlur={() => setTouched(true)}
                />
              )}
            </Field>
            <Field label="Version" error={problem('version')}>
              {props => (
                <Select
                  {...props}
                  value={draft.version}
                  onChange={event => set({ version: event.target.value })}
                >
                  {engine?.versions.map(version => (
                    <option key={version}>{version}</option>
                  ))}
                </Select>
              )}
            </Field>
          </div>
        </Section>
        <Section
          title="Size"
          lead="What each replica may use. All of it can be changed later; storage only grows."
        >
          <SizeChoice size={draft} onChange={set} problem={problem} />
        </Section>
        <Section
          title="Replicas"
          lead="One takes writes. The others hold the same data and take over within seconds when it fails."
        >
          <div className={css.replicas}>
            <Replicas
              value={draft.replicas}
              error={problem('replicas')}
              onChange={replicas => set({ replicas })}
            />
            <p className="small muted">
              {Number(draft.replicas) > 1
                ? `${plural(Number(draft.replicas) - 1, 'replica')} to take over`
                : 'No other copy: while it restarts, nobody is served'}
            </p>
          </div>
          {engine?.canSync && (
            <div className={css.choice}>
              <Switch
                label="Commits wait for a replica"
                checked={draft.sync}
                onChange={sync => set({ sync })}
                blocked={Number(draft.replicas) > 1 ? undefined : 'It takes two replicas'}
              />
              <p className="small faint">
                What was acknowledged survives the loss of the primary. Writes take a little longer.
              </p>
            </div>
          )}
        </Section>
        <Section
          title="Backups"
          lead={
            engine?.pointInTime
              ? 'A full copy by the schedule and every change in between: any second can be brought back.'
              : 'A full copy by the schedule, kept in a bucket of the cloud.'
          }
          aside={
            <Switch
              label="Back up by a schedule"
              checked={draft.schedule.enabled}
              onChange={enabled => set({ schedule: { ...draft.schedule, enabled } })}
            />
          }
        >
          {draft.schedule.enabled && (
            <ScheduleFields schedule={draft.schedule} onChange={schedule => set({ schedule })} />
          )}
        </Section>
      </div>
      <aside className={page.aside} aria-label="What it takes">
        <Takes draft={draft} />
      </aside>
      <footer className={page.footer}>
        <p className="small muted grow nums">
          {asked && left > 0
            ? `${plural(left, 'field')} to correct`
            : `${engine?.title ?? draft.engine} ${draft.version}, ${plural(Number(draft.replicas) || 0, 'replica')}`}
        </p>
        <Button asChild look="quiet">
          <Link to={`/w/${workspace}/databases`}>Cancel</Link>
        </Button>
        <Button look="primary" type="submit" icon={<DatabaseZap />} busy={create.isPending}>
          Create
        </Button>
      </footer>
    </form>
  )
}
