/** What the app says, as it says it. */

import { ArrowDown, Clock, Download, Eraser, Search, WrapText, X } from 'lucide-react'
import { memo, useLayoutEffect, useRef, useState } from 'react'
import { useSearchParams } from 'react-router'
import { plain, spans } from '../../lib/ansi'
import type { Line, View } from '../../lib/log-store'
import { plural } from '../../lib/units'
import { socketUrl } from '../../api/client'
import { useUrlText } from '../../lib/url-text'
import { useLogs } from '../../lib/use-logs'
import { useKeys } from '../../shell/keys'
import { Button, IconButton } from '../../ui/button'
import { Kbd } from '../../ui/bits'
import { Select, Switch } from '../../ui/field'
import { useApp } from './app'
import css from './logs.module.css'

const TAIL = '1000'

export default function LogsTab() {
  const app = useApp()
  const path = `/workspaces/${app.workspace}/apps/${app.name}/logs`
  return <LogView path={path} name={app.name} pods={app.pods.map(pod => pod.name)} />
}

interface ViewProps {
  /** The socket's address; the download is beside it. */
  path: string
  name: string
  /** The pods known before the socket names them. */
  pods: string[]
}

/** The log of some pods, all or the one that the address names. */
export const LogView = ({ path, name, pods }: ViewProps) => {
  const [params] = useSearchParams()
  const pod = params.get('pod') ?? ''
  const previous = params.get('previous') === '1'
  const query = { tail: TAIL, ...(pod ? { pod } : {}), ...(previous ? { previous: '1' } : {}) }
  const url = socketUrl(path, query)
  const file = `/api/v1${path}.txt?${new URLSearchParams(query).toString()}`
  return <Log key={url} name={name} known={pods} url={url} file={file} pod={pod} previous={previous} />
}

interface LogProps {
  name: string
  known: string[]
  url: string
  /** Where the whole log can be downloaded. */
  file: string
  pod: string
  previous: boolean
}

const Log = ({ name, known, url, file, pod, previous }: LogProps) => {
  const [, setParams] = useSearchParams()
  const [text, setText] = useUrlText('q')
  const { view, clear } = useLogs(url)
  const [wrap, setWrap] = useState(true)
  const [times, setTimes] = useState(false)
  const search = useRef<HTMLInputElement>(null)
  useKeys({ '/': () => search.current?.focus() })
  const set = (key: string, value: string) =>
    setParams(
      old => {
        const next = new URLSearchParams(old)
        if (value) next.set(key, value)
        else next.delete(key)
        return next
      },
      { replace: true, preventScrollReset: true },
    )
  const pods = view.pods.length > 0 ? view.pods : known
  return (
    <section className={css.panel} aria-label="Logs">
      <header className={css.tools}>
        <Select
          className={css.pods ?? ''}
          aria-label="Pod"
          value={pod}
          onChange={event => set('pod', event.target.value)}
        >
          <option value="">All pods</option>
          {[...new Set([...pods, ...(pod ? [pod] : [])])].map(name => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </Select>
        <label className={css.search}>
          <Search size={14} aria-hidden />
          <input
            ref={search}
            type="search"
            placeholder="Show lines with…"
            aria-label="Filter the lines"
            value={text}
            onChange={event => setText(event.target.value)}
          />
          {text ? (
            <IconButton size="s" label="Show all lines" icon={<X />} onClick={() => setText('')} />
          ) : (
            <Kbd>/</Kbd>
          )}
        </label>
        <Switch
          label="Before the last restart"
          checked={previous}
          onChange={on => set('previous', on ? '1' : '')}
        />
        <span className="row" style={{ gap: 0 }}>
          <IconButton
            size="s"
            label="Times"
            icon={<Clock />}
            aria-pressed={times}
            onClick={() => setTimes(!times)}
          />
          <IconButton
            size="s"
            label="Wrap long lines"
            icon={<WrapText />}
            aria-pressed={wrap}
            onClick={() => setWrap(!wrap)}
          />
          <IconButton size="s" label="Clear the view" icon={<Eraser />} onClick={clear} />
          <Button asChild look="quiet" size="s" className={css.download ?? ''}>
            <a href={file} download={`${name}.log`} aria-label="Download the log" title="Download the log">
              <Download aria-hidden />
            </a>
          </Button>
        </span>
      </header>
      <Lines view={view} text={text} wrap={wrap} times={times} previous={previous} />
    </section>
  )
}

interface LinesProps {
  view: View
  text: string
  wrap: boolean
  times: boolean
  previous: boolean
}

const NEAR_END = 30

const Lines = ({ view, text, wrap, times, previous }: LinesProps) => {
  const box = useRef<HTMLDivElement>(null)
  const [following, setFollowing] = useState(true)
  const many = new Set(view.pods).size > 1
  useLayoutEffect(() => {
    const element = box.current
    if (following && element) element.scrollTop = element.scrollHeight
  })
  const state = {
    connecting: 'Connecting…',
    live: following ? 'Following' : 'Paused: you scrolled up',
    ended: 'The log has ended',
    lost: 'The connection was lost; trying again…',
  }[view.state]
  return (
    <div className={css.body}>
      <div
        ref={box}
        className={css.lines}
        data-wrap={wrap || undefined}
        role="log"
        aria-live="off"
        aria-label="Log lines"
        tabIndex={0}
        onScroll={event => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget
          setFollowing(scrollHeight - scrollTop - clientHeight < NEAR_END)
        }}
      >
        {view.cut && (
          <p className={css.note}>Older lines were dropped from this view; the download has them.</p>
        )}
        {view.chunks.map(chunk => (
          <Chunk
            key={chunk[0]?.id}
            chunk={chunk}
            text={text.toLowerCase()}
            times={times}
            pods={many ? view.pods : undefined}
          />
        ))}
        {view.count === 0 && view.state !== 'connecting' && (
          <p className={css.note}>
            {previous
              ? 'Nothing is kept from before the last restart.'
              : 'No lines yet. What is printed shows here at once.'}
          </p>
        )}
      </div>
      <footer className={css.status}>
        <span className={css.state} data-state={following ? view.state : 'paused'} role="status">
          {state}
        </span>
        <span className="grow" />
        <span className="faint nums">{plural(view.count, 'line')}</span>
      </footer>
      {!following && (
        <Button size="s" className={css.jump ?? ''} icon={<ArrowDown />} onClick={() => setFollowing(true)}>
          Newest
        </Button>
      )}
    </div>
  )
}

interface ChunkProps {
  chunk: readonly Line[]
  text: string
  times: boolean
  /** The pods to tell apart; undefined when there is one. */
  pods: readonly string[] | undefined
}

const Chunk = memo(({ chunk, text, times, pods }: ChunkProps) => {
  const shown = text ? chunk.filter(line => plain(line.text).toLowerCase().includes(text)) : chunk
  return (
    <div className={css.chunk}>
      {shown.map(line => (
        <div key={line.id} className={line.note ? css.note : css.line} data-level={level(line.text)}>
          {times && <time className={css.time}>{clock(line.at)}</time>}
          {pods && !line.note && (
            <span className={css.pod} data-hue={Math.max(0, pods.indexOf(line.pod)) % 6} title={line.pod}>
              {line.pod.split('-').at(-1)}
            </span>
          )}
          <span className={css.text}>
            {line.note ? `${line.pod}: ${line.text}` : <Text line={line.text} text={text} />}
          </span>
        </div>
      ))}
    </div>
  )
})
Chunk.displayName = 'Chunk'

const Text = ({ line, text }: { line: string; text: string }) => {
  if (text) return <Marked line={plain(line)} text={text} />
  return spans(line).map((span, i) =>
    span.classes.length > 0 ? (
      // Spans of one line never move.
      // oxlint-disable-next-line react/no-array-index-key
      <span key={i} className={span.classes.map(name => css[name]).join(' ')}>
        {span.text}
      </span>
    ) : (
      span.text
    ),
  )
}

/** The line with what was searched for marked. */
const Marked = ({ line, text }: { line: string; text: string }) => {
  const parts: React.ReactNode[] = []
  const lower = line.toLowerCase()
  let from = 0
  for (let at = lower.indexOf(text); at >= 0; at = lower.indexOf(text, from)) {
    parts.push(line.slice(from, at), <mark key={at}>{line.slice(at, at + text.length)}</mark>)
    from = at + text.length
  }
  return [...parts, line.slice(from)]
}

const level = (text: string): string | undefined => {
  const head = text.slice(0, 120)
  if (/\b(?:ERROR|FATAL|PANIC|CRIT(?:ICAL)?|error|panic|fatal)\b/.test(head)) return 'error'
  return /\b(?:WARN(?:ING)?|warn(?:ing)?)\b/.test(head) ? 'warn' : undefined
}

const clock = (at: string): string => {
  const date = new Date(at)
  return `${date.toLocaleTimeString([], { hour12: false })}.${String(date.getMilliseconds()).padStart(3, '0')}`
}
