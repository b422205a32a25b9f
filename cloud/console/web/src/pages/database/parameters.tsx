/** What the engine can be told, what it may be told, and what needs a restart. */

import { useMutation, useQuery } from '@tanstack/react-query'
import { Save, Search, Undo2 } from 'lucide-react'
import { useState } from 'react'
import { ApiError } from '../../api/client'
import { databases, parametersQuery, type Database, type Parameter } from '../../api/databases'
import { queries } from '../../api/queries'
import { changeBlocked, refresh } from '../../lib/database-actions'
import { plural } from '../../lib/units'
import { Button } from '../../ui/button'
import { Plain, Skeleton, Trouble } from '../../ui/bits'
import { Field, Input, Switch } from '../../ui/field'
import { toast } from '../../ui/toast'
import { useDatabase } from './database'
import css from './parameters.module.css'

export default function ParametersTab() {
  const database = useDatabase()
  const { data, error, refetch } = useQuery(parametersQuery(database.workspace, database.name))
  if (error && !data)
    return <Trouble error={error} title="The parameters could not be read" retry={() => void refetch()} />
  if (!data) return <Skeleton height={280} />
  return <Editor database={database} parameters={data} />
}

const Editor = ({ database, parameters }: { database: Database; parameters: Parameter[] }) => {
  const { workspace, name } = database
  const [edits, setEdits] = useState<Record<string, string>>({})
  const [text, setText] = useState('')
  const [changedOnly, setChangedOnly] = useState(false)
  const save = useMutation({
    mutationFn: (values: Record<string, string>) => databases.setParameters(workspace, name, values),
    onSuccess: ({ needsRestart }) => {
      setEdits({})
      void queries.invalidateQueries({ queryKey: parametersQuery(workspace, name).queryKey })
      refresh(workspace, name)
      toast.done(
        `${name} has its new parameters`,
        needsRestart ? 'Its replicas are restarted one after another for them.' : undefined,
      )
    },
  })
  const refused = save.error instanceof ApiError ? save.error.fields : []
  const values = Object.fromEntries(
    parameters.flatMap(({ name, value }) => {
      const edit = edits[name]?.trim()
      return edit === undefined || edit === value ? [] : [[name, edit] as const]
    }),
  )
  const count = Object.keys(values).length
  const restart = parameters.some(({ name, needsRestart }) => needsRestart && name in values)
  const shown = parameters.filter(
    parameter =>
      (!changedOnly || parameter.changed || parameter.name in values) &&
      `${parameter.name} ${parameter.about}`.toLowerCase().includes(text.toLowerCase()),
  )
  const blocked = changeBlocked(database)
  return (
    <form
      className={css.page}
      onSubmit={event => {
        event.preventDefault()
        if (count > 0 && !blocked) save.mutate(values)
      }}
    >
      {save.error && (
        <Trouble
          error={save.error}
          title={refused.length > 0 ? 'One more thing to settle' : 'The parameters were not set'}
        />
      )}
      <div className={css.list}>
        <header className={css.tools}>
          <label className={css.search}>
            <Search size={14} aria-hidden />
            <input
              type="search"
              placeholder="Find a parameter"
              aria-label="Find a parameter"
              value={text}
              onChange={event => setText(event.target.value)}
            />
          </label>
          <Switch label="Only what was changed" checked={changedOnly} onChange={setChangedOnly} />
        </header>
        <ul aria-label="Parameters">
          {shown.map(parameter => (
            <Row
              key={parameter.name}
              parameter={parameter}
              value={edits[parameter.name] ?? parameter.value}
              edited={parameter.name in values}
              error={refused.find(({ field }) => field.endsWith(parameter.name))?.message}
              onChange={value => {
                save.reset()
                setEdits(old => ({ ...old, [parameter.name]: value }))
              }}
            />
          ))}
        </ul>
        {shown.length === 0 && <p className={css.none}>No parameter matches.</p>}
      </div>
      <footer className={css.footer}>
        <p className="small muted grow">
          {count === 0
            ? 'Nothing changed yet'
            : `${plural(count, 'change')}${restart ? ', with a restart' : ', without a restart'}`}
        </p>
        <Button
          look="quiet"
          icon={<Undo2 />}
          blocked={count === 0 ? 'Nothing to undo' : undefined}
          onClick={() => {
            save.reset()
            setEdits({})
          }}
        >
          Undo
        </Button>
        <Button
          look="primary"
          type="submit"
          icon={<Save />}
          busy={save.isPending}
          blocked={blocked ?? (count === 0 ? 'Nothing changed yet' : undefined)}
        >
          Set
        </Button>
      </footer>
    </form>
  )
}

interface RowProps {
  parameter: Parameter
  value: string
  edited: boolean
  error: string | undefined
  onChange: (value: string) => void
}

const Row = ({ parameter, value, edited, error, onChange }: RowProps) => (
  <li className={css.row} data-edited={edited || undefined}>
    <div className="grow">
      <p className={css.name}>
        <span className="mono">{parameter.name}</span>
        {parameter.needsRestart && <span className={css.mark}>needs restart</span>}
        {parameter.changed && <span className={css.mark}>changed</span>}
      </p>
      {parameter.about && (
        <p className="small muted">
          <Plain text={parameter.about} />
        </p>
      )}
    </div>
    <div className={css.value}>
      <Field
        label={`Value of ${parameter.name}`}
        hideLabel
        error={error}
        help={[
          parameter.allowed,
          parameter.value !== parameter.default && parameter.default ? `default ${parameter.default}` : '',
        ]
          .filter(Boolean)
          .join('; ')}
      >
        {props => (
          <Input
            {...props}
            mono
            placeholder={parameter.default || 'as the engine has it'}
            value={value}
            onChange={event => onChange(event.target.value)}
          />
        )}
      </Field>
    </div>
  </li>
)
