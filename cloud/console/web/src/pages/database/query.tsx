/** Statements or commands, and what the engine answers. */

import { useMutation, useQuery } from '@tanstack/react-query'
import { Download, History, Play } from 'lucide-react'
import { useState, type KeyboardEvent } from 'react'
import { databases, enginesQuery, type Engine, type QueryResult } from '../../api/databases'
import { toCsv } from '../../lib/csv'
import { askBlocked } from '../../lib/database-actions'
import { plural } from '../../lib/units'
import { Button } from '../../ui/button'
import { Kbd, Trouble } from '../../ui/bits'
import { Field, Input, TextArea } from '../../ui/field'
import { Menu, MenuItem, MenuLabel } from '../../ui/menu'
import { useDatabase } from './database'
import css from './query.module.css'

const FIRST: Record<Engine['language'], string> = {
  sql: 'SELECT version();',
  commands: 'INFO server',
  documents: 'db.runCommand({ ping: 1 })',
}

const WORDS: Record<Engine['language'], { label: string; run: string; one: string }> = {
  sql: { label: 'SQL', run: 'Run', one: 'statement' },
  commands: { label: 'Commands, one a line', run: 'Send', one: 'command' },
  documents: { label: 'JavaScript', run: 'Run', one: 'expression' },
}

/** Where statements go when nothing is said. */
const INSIDE: Record<string, string> = { postgresql: 'postgres', redis: '0' }

const MOST_REMEMBERED = 12

export default function QueryTab() {
  const database = useDatabase()
  const { data: engines } = useQuery(enginesQuery())
  const language = engines?.find(({ name }) => name === database.engine)?.language ?? 'sql'
  const [typed, setTyped] = useState<string>()
  const [inside, setInside] = useState('')
  const [past, setPast] = useState<string[]>([])
  const text = typed ?? FIRST[language]
  const ask = useMutation({
    mutationFn: () => databases.query(database.workspace, database.name, text, inside.trim()),
    onMutate: () => setPast(old => [text, ...old.filter(one => one !== text)].slice(0, MOST_REMEMBERED)),
  })
  const blocked =
    askBlocked(database) ?? (text.trim() === '' ? `Write a ${WORDS[language].one} first` : undefined)
  const run = () => {
    if (!blocked && !ask.isPending) ask.mutate()
  }
  const runByKey = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
    event.preventDefault()
    run()
  }
  return (
    <div className={css.page}>
      <form
        className={css.editor}
        onSubmit={event => {
          event.preventDefault()
          run()
        }}
      >
        <Field label={WORDS[language].label} hideLabel>
          {props => (
            <TextArea
              {...props}
              rows={6}
              className={css.text ?? ''}
              value={text}
              onChange={event => setTyped(event.target.value)}
              onKeyDown={runByKey}
            />
          )}
        </Field>
        <footer className={css.tools}>
          {language !== 'documents' && (
            <Field label="In the database" hideLabel>
              {props => (
                <Input
                  {...props}
                  mono
                  className={css.inside ?? ''}
                  placeholder={INSIDE[database.engine] ?? 'database'}
                  title="The database to run it in"
                  value={inside}
                  onChange={event => setInside(event.target.value)}
                />
              )}
            </Field>
          )}
          <span className="grow" />
          <span className={`${css.keys} small faint`}>
            <Kbd>Ctrl</Kbd> <Kbd>Enter</Kbd>
          </span>
          {past.length > 0 && (
            <Menu
              trigger={
                <Button look="quiet" size="s" icon={<History />}>
                  Earlier
                </Button>
              }
            >
              <MenuLabel>Since this page was opened</MenuLabel>
              {past.map(one => (
                <MenuItem key={one} onSelect={() => setTyped(one)}>
                  <span className={`${css.past} truncate mono`}>{one.replaceAll(/\s+/g, ' ')}</span>
                </MenuItem>
              ))}
            </Menu>
          )}
          <Button look="primary" type="submit" icon={<Play />} busy={ask.isPending} blocked={blocked}>
            {WORDS[language].run}
          </Button>
        </footer>
      </form>
      {ask.error ? (
        <Trouble error={ask.error} title="The engine refused" />
      ) : ask.data ? (
        <Result result={ask.data} name={database.name} />
      ) : (
        <p className={`${css.none} small faint`}>
          It runs on the primary, as the administrator of the database. What is answered shows here.
        </p>
      )}
    </div>
  )
}

/** A value as it is read in a cell. */
const cell = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

const isNumber = (value: unknown): boolean => typeof value === 'number'

const Result = ({ result, name }: { result: QueryResult; name: string }) => {
  const { columns, rows, message, tookMillis, cut } = result
  const csv = () => {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([toCsv(columns, rows)], { type: 'text/csv' }))
    link.download = `${name}.csv`
    link.click()
    URL.revokeObjectURL(link.href)
  }
  return (
    <section className={css.result} aria-label="Result">
      {columns.length > 0 && (
        <div className={css.scroll} tabIndex={0} role="region" aria-label="Rows">
          <table className={css.table}>
            <thead>
              <tr>
                <th className={css.line}>
                  <span className="sr-only">Row</span>
                </th>
                {columns.map((column, i) => (
                  // Two columns may share a name; their place is their identity.
                  // oxlint-disable-next-line react/no-array-index-key
                  <th key={i}>{column}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row, i) => (
                // Rows of an answer never move.
                // oxlint-disable-next-line react/no-array-index-key
                <tr key={i}>
                  <td className={`${css.line} nums`}>{i + 1}</td>
                  {row.map((value, j) => (
                    // oxlint-disable-next-line react/no-array-index-key
                    <td key={j} data-number={isNumber(value) || undefined}>
                      {value === null || value === undefined ? (
                        <span className={css.null}>null</span>
                      ) : (
                        cell(value)
                      )}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <footer className={css.foot}>
        <span role="status">
          {message || plural(rows.length, 'row')}
          {cut && ' (not all are shown)'}
          <span className="faint nums"> in {tookMillis} ms</span>
        </span>
        <span className="grow" />
        {rows.length > 0 && (
          <Button look="quiet" size="s" icon={<Download />} onClick={csv}>
            CSV
          </Button>
        )}
      </footer>
    </section>
  )
}
