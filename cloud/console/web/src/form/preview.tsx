/** What the form stands for: the command that does the same, and the objects that will be made. */

import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useDeferredValue, useState } from 'react'
import { api } from '../api/client'
import type { AppSpec, Preview as PreviewText } from '../api/types'
import { CopyButton, Skeleton } from '../ui/bits'
import { Segments } from '../ui/field'
import css from './preview.module.css'

interface Props {
  workspace: string
  /** Undefined while the form is not right: then there is nothing to show yet. */
  spec: AppSpec | undefined
}

/** Keys in one tone and values in another are enough to read YAML by. */
const Line = ({ text }: { text: string }) => {
  const match = /^(\s*(?:- )?)([\w./~-]+:)(.*)$/.exec(text)
  if (!match) return <>{text}</>
  return (
    <>
      {match[1]}
      <span className={css.key}>{match[2]}</span>
      {match[3]}
    </>
  )
}

export const Preview = ({ workspace, spec }: Props) => {
  const [view, setView] = useState<keyof PreviewText>('yaml')
  const shown = useDeferredValue(spec)
  const { data, error } = useQuery({
    queryKey: ['preview', workspace, shown],
    queryFn: ({ signal }) => (shown ? api.preview(workspace, shown, signal) : null),
    enabled: shown !== undefined,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    gcTime: 0,
  })
  const text = data?.[view]
  return (
    <section className={css.preview} aria-label="Preview">
      <header className={css.head}>
        <Segments
          label="Preview as"
          value={view}
          options={[
            { value: 'yaml', label: 'Kubernetes' },
            { value: 'manifest', label: 'sealos.yaml' },
            { value: 'command', label: 'Command' },
          ]}
          onChange={setView}
        />
        {text && <CopyButton text={text} label="Copy" />}
      </header>
      {text ? (
        <pre className={css.code} data-stale={spec === undefined || undefined} tabIndex={0}>
          {view !== 'command'
            ? text.split('\n').map((line, i) => (
                // Lines have no identity but their place.
                // oxlint-disable-next-line react/no-array-index-key
                <div key={i}>{line ? <Line text={line} /> : ' '}</div>
              ))
            : text}
        </pre>
      ) : error ? (
        <p className={css.note}>{error.message}</p>
      ) : spec ? (
        <div className={css.note}>
          <Skeleton width="60%" />
        </div>
      ) : (
        <p className={css.note}>
          What will be created shows here once there is an image and a name: plain Kubernetes objects, nothing
          hidden.
        </p>
      )}
    </section>
  )
}
