/** The parts of the form that are lists: variables, files, storage. */

import { ClipboardPaste, Lock, Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { looksLikeDotenv, parseDotenv, type Pair } from '../lib/dotenv'
import { plural } from '../lib/units'
import { Button, IconButton } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Field, Input, TextArea } from '../ui/field'
import { newEnv, newFile, newStorage, type EnvDraft, type FileDraft, type StorageDraft } from './draft'
import { Section, type SectionProps } from './form'
import css from './form.module.css'

/** Where a value comes from, in words. */
const source = (from: NonNullable<EnvDraft['from']>) => {
  if ('secret' in from) return `Secret ${from.secret}`
  return 'config' in from ? `ConfigMap ${from.config}` : `Field ${from.field}`
}

/** New values replace those of the same name; the rest is added, and empty rows go. */
const merge = (env: EnvDraft[], pairs: Pair[]): EnvDraft[] => {
  const fresh = new Map(pairs.map(({ name, value }) => [name, value]))
  const kept = env
    .filter(row => row.name !== '' || row.value !== '')
    .map(row => {
      const value = row.from ? undefined : fresh.get(row.name)
      fresh.delete(row.name)
      return value === undefined ? row : { ...row, value }
    })
  return [...kept, ...[...fresh].map(([name, value]) => newEnv(name, value))]
}

export const EnvSection = ({ draft, set, problem, touch }: SectionProps) => {
  const [pasting, setPasting] = useState(false)
  const change = (key: string, part: Partial<EnvDraft>) =>
    set({ env: draft.env.map(row => (row.key === key ? { ...row, ...part } : row)) })
  return (
    <Section
      title="Environment"
      lead="Variables the app sees. A whole .env file can be pasted into any name."
      aside={
        <div className="row">
          <Button size="s" look="quiet" icon={<ClipboardPaste />} onClick={() => setPasting(true)}>
            Paste .env
          </Button>
          <Button size="s" icon={<Plus />} onClick={() => set({ env: [...draft.env, newEnv()] })}>
            Add
          </Button>
        </div>
      }
    >
      {draft.env.length > 0 && (
        <ul className={css.rows}>
          {draft.env.map((row, i) => (
            <li key={row.key} className={css.env}>
              <Field label={`Name of variable ${i + 1}`} hideLabel error={problem(`env.${i}.name`)}>
                {props => (
                  <Input
                    {...props}
                    mono
                    placeholder="NAME"
                    readOnly={row.from !== undefined}
                    value={row.name}
                    onChange={event => change(row.key, { name: event.target.value })}
                    onBlur={() => touch(`env.${i}.name`)}
                    onPaste={event => {
                      const text = event.clipboardData.getData('text')
                      if (!looksLikeDotenv(text)) return
                      event.preventDefault()
                      set({ env: merge(draft.env, parseDotenv(text)) })
                    }}
                  />
                )}
              </Field>
              {row.from ? (
                <p className={css.from}>
                  <Lock size={13} aria-hidden /> {source(row.from)}
                </p>
              ) : (
                <Field label={`Value of ${row.name || `variable ${i + 1}`}`} hideLabel>
                  {props => (
                    <Input
                      {...props}
                      mono
                      placeholder="value"
                      value={row.value}
                      onChange={event => change(row.key, { value: event.target.value })}
                    />
                  )}
                </Field>
              )}
              <IconButton
                label={`Remove ${row.name || 'variable'}`}
                icon={<Trash2 />}
                onClick={() => set({ env: draft.env.filter(other => other.key !== row.key) })}
              />
            </li>
          ))}
        </ul>
      )}
      {pasting && (
        <PasteDialog
          onClose={() => setPasting(false)}
          onTake={pairs => set({ env: merge(draft.env, pairs) })}
        />
      )}
    </Section>
  )
}

const PasteDialog = ({ onClose, onTake }: { onClose: () => void; onTake: (pairs: Pair[]) => void }) => {
  const [text, setText] = useState('')
  const pairs = parseDotenv(text)
  return (
    <Dialog
      open
      wide
      onOpenChange={onClose}
      title="Paste a .env file"
      description="Comments and “export” are understood. Variables that exist already get the new value."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="primary"
            blocked={pairs.length === 0 ? 'No variable found yet' : undefined}
            onClick={() => {
              onTake(pairs)
              onClose()
            }}
          >
            {pairs.length === 0 ? 'Take' : `Take ${plural(pairs.length, 'variable')}`}
          </Button>
        </>
      }
    >
      <TextArea
        rows={12}
        aria-label="The text of the file"
        placeholder={'DATABASE_URL=postgres://…\nLOG_LEVEL=info'}
        value={text}
        onChange={event => setText(event.target.value)}
      />
    </Dialog>
  )
}

export const FilesSection = ({ draft, set, problem, touch }: SectionProps) => {
  const change = (key: string, part: Partial<FileDraft>) =>
    set({ files: draft.files.map(row => (row.key === key ? { ...row, ...part } : row)) })
  return (
    <Section
      title="Config files"
      lead="Files put into the container, read-only."
      aside={
        <Button size="s" icon={<Plus />} onClick={() => set({ files: [...draft.files, newFile()] })}>
          Add a file
        </Button>
      }
    >
      {draft.files.map((row, i) => (
        <div key={row.key} className={css.file}>
          <div className={css.fileHead}>
            <div className="grow">
              <Field label={`Path of file ${i + 1}`} hideLabel error={problem(`files.${i}.path`)}>
                {props => (
                  <Input
                    {...props}
                    mono
                    placeholder="/etc/app/config.toml"
                    value={row.path}
                    onChange={event => change(row.key, { path: event.target.value })}
                    onBlur={() => touch(`files.${i}.path`)}
                  />
                )}
              </Field>
            </div>
            <IconButton
              label={`Remove ${row.path || 'file'}`}
              icon={<Trash2 />}
              onClick={() => set({ files: draft.files.filter(other => other.key !== row.key) })}
            />
          </div>
          <Field
            label={`Content of ${row.path || `file ${i + 1}`}`}
            hideLabel
            error={problem(`files.${i}.content`)}
          >
            {props => (
              <TextArea
                {...props}
                rows={Math.min(16, Math.max(4, row.content.split('\n').length + 1))}
                placeholder="What the file holds"
                value={row.content}
                onChange={event => change(row.key, { content: event.target.value })}
              />
            )}
          </Field>
        </div>
      ))}
    </Section>
  )
}

export const StorageSection = ({ draft, set, problem, touch, existing }: SectionProps) => {
  const change = (key: string, part: Partial<StorageDraft>) =>
    set({ storage: draft.storage.map(row => (row.key === key ? { ...row, ...part } : row)) })
  return (
    <Section
      title="Storage"
      lead={
        existing && draft.storage.length === 0
          ? 'Directories that keep their content when the app restarts.'
          : 'Directories that keep their content when the app restarts. Each replica has its own.'
      }
      aside={
        <Button size="s" icon={<Plus />} onClick={() => set({ storage: [...draft.storage, newStorage()] })}>
          Add storage
        </Button>
      }
    >
      {draft.storage.length > 0 && (
        <ul className={css.rows}>
          {draft.storage.map((row, i) => (
            <li key={row.key} className={css.volume}>
              <Field label={`Path of storage ${i + 1}`} hideLabel error={problem(`storage.${i}.path`)}>
                {props => (
                  <Input
                    {...props}
                    mono
                    placeholder="/data"
                    readOnly={row.atLeast !== undefined}
                    value={row.path}
                    onChange={event => change(row.key, { path: event.target.value })}
                    onBlur={() => touch(`storage.${i}.path`)}
                  />
                )}
              </Field>
              <Field label={`Size of storage ${i + 1}`} hideLabel error={problem(`storage.${i}.size`)}>
                {props => (
                  <Input
                    {...props}
                    placeholder="1Gi"
                    value={row.size}
                    onChange={event => change(row.key, { size: event.target.value })}
                    onBlur={() => touch(`storage.${i}.size`)}
                  />
                )}
              </Field>
              <IconButton
                label={`Remove storage ${row.path}`}
                icon={<Trash2 />}
                onClick={() => set({ storage: draft.storage.filter(other => other.key !== row.key) })}
              />
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}
