/** One app in the list: the whole row leads to it. */

import {
  ExternalLink,
  MoreHorizontal,
  Play,
  RotateCw,
  ScrollText,
  Square,
  SquareTerminal,
  Trash2,
} from 'lucide-react'
import { useState } from 'react'
import { Link, useNavigate } from 'react-router'
import type { App, Series } from '../api/types'
import { restartBlocked, terminalBlocked, useAct } from '../lib/actions'
import { age, bytes, cores, hostOf, isWeb, latest, parseBytes, parseCpu } from '../lib/units'
import { IconButton } from '../ui/button'
import { Menu, MenuItem, MenuLine } from '../ui/menu'
import { Sparkline } from '../ui/sparkline'
import { Pips, StatusDot } from '../ui/status'
import { DeleteDialog } from './delete-dialog'
import css from './app-row.module.css'

export const AppRow = ({ app, series }: { app: App; series: Series | undefined }) => {
  const path = `/w/${app.workspace}/apps/${app.name}`
  const [url, ...more] = app.urls.map(address => address.url)
  const [cpu, memory] = [latest(series?.cpuMillis ?? []), latest(series?.memoryBytes ?? [])]
  const copies = Math.max(app.replicas.desired, 1)
  const said = app.message !== '' && app.phase !== 'stopped'
  return (
    <div className={css.row} role="row">
      <div className={css.app} role="cell">
        <StatusDot phase={app.phase} />
        <div className="grow">
          <Link to={path} className={css.name}>
            {app.name}
          </Link>
          <p
            className={`truncate small ${said ? css.why : 'faint mono'}`}
            data-phase={app.phase}
            title={said ? app.message : app.image}
          >
            {said ? app.message.replaceAll('`', '') : app.image}
          </p>
        </div>
      </div>
      <div className={css.address} role="cell">
        {url && !isWeb(url) ? (
          <span className="truncate mono small">{url}</span>
        ) : url ? (
          <a href={url} target="_blank" rel="noreferrer" className={css.url}>
            <span className="truncate">{hostOf(url)}</span>
            <ExternalLink size={13} aria-label="opens in a new tab" />
          </a>
        ) : (
          <span className="faint small">{'none'}</span>
        )}
        {more.length > 0 && <span className="faint small">+{more.length}</span>}
      </div>
      <div className={css.pips} role="cell">
        <Pips phase={app.phase} {...app.replicas} />
      </div>
      <div className={css.use} role="cell">
        {series && (
          <Sparkline
            values={series.cpuMillis}
            max={(parseCpu(app.cpu ?? '') ?? 0) * copies}
            label={`CPU of ${app.name}`}
          />
        )}
        <span className="nums small">{cpu === undefined ? '' : cores(cpu)}</span>
      </div>
      <div className={css.use} role="cell">
        {series && (
          <Sparkline
            values={series.memoryBytes}
            max={(parseBytes(app.memory ?? '') ?? 0) * copies}
            tone="second"
            label={`Memory of ${app.name}`}
          />
        )}
        <span className="nums small">{memory === undefined ? '' : bytes(memory)}</span>
      </div>
      <div
        className={`${css.age} faint small nums`}
        role="cell"
        title={app.createdAt ? new Date(app.createdAt).toLocaleString() : undefined}
      >
        {app.createdAt && age(app.createdAt)}
      </div>
      <div className={css.menu} role="cell">
        <RowMenu app={app} path={path} />
      </div>
    </div>
  )
}

const RowMenu = ({ app, path }: { app: App; path: string }) => {
  const navigate = useNavigate()
  const act = useAct(app)
  const [deleting, setDeleting] = useState(false)
  const url = app.urls.find(address => isWeb(address.url))?.url
  return (
    <>
      <Menu trigger={<IconButton size="s" label={`Actions for ${app.name}`} icon={<MoreHorizontal />} />}>
        {url && (
          <MenuItem icon={<ExternalLink />} onSelect={() => window.open(url, '_blank', 'noreferrer')}>
            Open
          </MenuItem>
        )}
        <MenuItem icon={<ScrollText />} onSelect={() => void navigate(`${path}/logs`)}>
          Logs
        </MenuItem>
        <MenuItem
          icon={<SquareTerminal />}
          blocked={terminalBlocked(app)}
          onSelect={() => void navigate(`${path}/terminal`)}
        >
          Terminal
        </MenuItem>
        <MenuLine />
        <MenuItem icon={<RotateCw />} blocked={restartBlocked(app)} onSelect={() => act.mutate('restart')}>
          Restart
        </MenuItem>
        {app.phase === 'stopped' ? (
          <MenuItem icon={<Play />} onSelect={() => act.mutate('start')}>
            Start
          </MenuItem>
        ) : (
          <MenuItem icon={<Square />} onSelect={() => act.mutate('stop')}>
            Stop
          </MenuItem>
        )}
        <MenuLine />
        <MenuItem icon={<Trash2 />} danger onSelect={() => setDeleting(true)}>
          Delete…
        </MenuItem>
      </Menu>
      <DeleteDialog
        app={app}
        open={deleting}
        onOpenChange={setDeleting}
        onDeleted={() => setDeleting(false)}
      />
    </>
  )
}
