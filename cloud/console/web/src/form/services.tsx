/** What the app leans on: a database and a bucket, made beside it and linked by Secrets. */

import { useQuery } from '@tanstack/react-query'
import { enginesQuery, databasesQuery } from '../api/databases'
import { bucketsQuery } from '../api/buckets'
import { EngineMark, engineTitle } from '../ui/engine'
import { Field, Input, Select, Switch } from '../ui/field'
import { databaseNameFor, type Draft } from './draft'
import { Section, type SectionProps } from './form'
import { Replicas } from './sections'
import css from './services.module.css'

const POLICIES: { value: Draft['bucketPolicy']; label: string }[] = [
  { value: 'private', label: 'Private' },
  { value: 'publicRead', label: 'Public to read' },
  { value: 'publicReadwrite', label: 'Public to write' },
]

export const ServicesSection = (props: SectionProps & { workspace: string }) => (
  <Section
    title="Database and bucket"
    lead="Made beside the app and linked to it: it finds them by variables, and the passwords stay in Secrets."
  >
    <DatabasePart {...props} />
    <hr className={css.rule} />
    <BucketPart {...props} />
  </Section>
)

const DatabasePart = ({ draft, set, problem, touch, workspace }: SectionProps & { workspace: string }) => {
  const { data: engines = [] } = useQuery(enginesQuery())
  const { data: known } = useQuery(databasesQuery(workspace))
  const name = draft.databaseName.trim() || databaseNameFor(draft.name.trim())
  const there = known?.find(database => database.name === name)
  const choices = [...new Set([...engines.map(engine => engine.name), draft.database])].filter(Boolean)
  return (
    <div className={css.part}>
      <div className={css.row}>
        <Field label="Database">
          {props => (
            <Select
              {...props}
              value={draft.database}
              onChange={event => set({ database: event.target.value, databaseMore: {} })}
            >
              <option value="">None</option>
              {choices.map(engine => (
                <option key={engine} value={engine}>
                  {engineTitle(engine)}
                </option>
              ))}
            </Select>
          )}
        </Field>
        {draft.database !== '' && (
          <>
            <Field label="Name of the database" error={problem('database.name')}>
              {props => (
                <Input
                  {...props}
                  mono
                  placeholder={databaseNameFor(draft.name.trim())}
                  value={draft.databaseName}
                  onChange={event => set({ databaseName: event.target.value })}
                  onBlur={() => touch('database.name')}
                />
              )}
            </Field>
          </>
        )}
      </div>
      {draft.database !== '' &&
        (there ? (
          <p className={css.note}>
            <EngineMark engine={there.engine} size={22} />
            {there.name} is there already, and is used as it is.
          </p>
        ) : (
          <div className={css.more}>
            <div>
              <p className={css.label}>Replicas of the database</p>
              <Replicas
                value={draft.databaseReplicas}
                error={problem('database.replicas')}
                onChange={databaseReplicas => set({ databaseReplicas })}
              />
            </div>
            <Switch
              label="Back it up every night"
              checked={draft.databaseBackup}
              onChange={databaseBackup => set({ databaseBackup })}
            />
          </div>
        ))}
      {draft.database !== '' && (
        <p className="small faint">
          Variables: <code>DATABASE_URL</code>, and <code>DATABASE_HOST</code>, <code>_PORT</code>,{' '}
          <code>_USER</code>, <code>_PASSWORD</code>, <code>_NAME</code>
        </p>
      )}
    </div>
  )
}

const BucketPart = ({ draft, set, problem, touch, workspace }: SectionProps & { workspace: string }) => {
  const { data: known } = useQuery(bucketsQuery(workspace))
  const there = known?.find(bucket => bucket.name === draft.bucketName.trim())
  return (
    <div className={css.part}>
      <Switch label="A bucket for files" checked={draft.bucketOn} onChange={bucketOn => set({ bucketOn })} />
      {draft.bucketOn && (
        <>
          <div className={css.row}>
            <Field
              label="Name of the bucket"
              error={problem('bucket.name')}
              help={there ? 'It is there already, and what is in it stays.' : undefined}
            >
              {props => (
                <Input
                  {...props}
                  mono
                  placeholder="photos"
                  value={draft.bucketName}
                  onChange={event => set({ bucketName: event.target.value })}
                  onBlur={() => touch('bucket.name')}
                />
              )}
            </Field>
            <Field
              label="Access"
              help={
                draft.bucketPolicy === 'private'
                  ? undefined
                  : 'Everybody who can reach this machine, without a key.'
              }
            >
              {props => (
                <Select
                  {...props}
                  value={draft.bucketPolicy}
                  onChange={event => {
                    const chosen = POLICIES.find(({ value }) => value === event.target.value)
                    if (chosen) set({ bucketPolicy: chosen.value })
                  }}
                >
                  {POLICIES.map(({ value, label }) => (
                    <option key={value} value={value}>
                      {label}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
          </div>
          <p className="small faint">
            Variables: <code>S3_BUCKET</code>, <code>AWS_ENDPOINT_URL_S3</code>,{' '}
            <code>AWS_ACCESS_KEY_ID</code>, <code>AWS_SECRET_ACCESS_KEY</code>
          </p>
        </>
      )}
    </div>
  )
}
