/** Where one can go, whose workspace it is, and how full the machine is. */

import { useQuery } from '@tanstack/react-query'
import {
  Boxes,
  ChevronsUpDown,
  CircleHelp,
  Database,
  LogOut,
  Moon,
  PaintBucket,
  Plus,
  Sun,
  SunMoon,
} from 'lucide-react'
import { Link, NavLink, useNavigate } from 'react-router'
import { api } from '../api/client'
import type { LiveState } from '../api/live'
import { bucketsQuery } from '../api/buckets'
import { databasesQuery } from '../api/databases'
import { appsQuery, capacityQuery, queries, sessionQuery } from '../api/queries'
import { bytes, cores } from '../lib/units'
import { IconButton } from '../ui/button'
import { Kbd, Seal, Skeleton } from '../ui/bits'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from '../ui/menu'
import { setTheme, useTheme } from './theme'
import css from './sidebar.module.css'

interface Props {
  workspace: string
  live: LiveState
  onHelp: () => void
}

export const Sidebar = ({ workspace, live, onHelp }: Props) => {
  const { data: apps } = useQuery(appsQuery(workspace))
  const { data: databases } = useQuery(databasesQuery(workspace))
  const { data: buckets } = useQuery(bucketsQuery(workspace))
  return (
    <div className={css.sidebar}>
      <Link to={`/w/${workspace}`} className={css.brand}>
        <Seal size={30} />
        <span>Sealos</span>
      </Link>
      <Workspaces workspace={workspace} />
      <nav aria-label="Main" className={css.nav}>
        <NavLink to={`/w/${workspace}`} end className={css.link ?? ''}>
          <Boxes aria-hidden />
          <span className="grow">Apps</span>
          {apps && <span className={`${css.count} nums`}>{apps.length}</span>}
        </NavLink>
        <NavLink to={`/w/${workspace}/databases`} className={css.link ?? ''}>
          <Database aria-hidden />
          <span className="grow">Databases</span>
          {databases && <span className={`${css.count} nums`}>{databases.length}</span>}
        </NavLink>
        <NavLink to={`/w/${workspace}/buckets`} className={css.link ?? ''}>
          <PaintBucket aria-hidden />
          <span className="grow">Buckets</span>
          {buckets && <span className={`${css.count} nums`}>{buckets.length}</span>}
        </NavLink>
        <NavLink to={`/w/${workspace}/deploy`} className={css.link ?? ''}>
          <Plus aria-hidden />
          <span className="grow">Deploy</span>
          <Kbd>C</Kbd>
        </NavLink>
      </nav>
      <div className={css.foot}>
        <Machine />
        {live === 'lost' && (
          <p className={css.lost} role="status">
            Not connected. What you see may be old; trying again…
          </p>
        )}
        <div className={css.bar}>
          <Account />
          <ThemeButton />
          <IconButton size="s" label="Keyboard shortcuts" icon={<CircleHelp />} onClick={onHelp} />
        </div>
      </div>
    </div>
  )
}

const Workspaces = ({ workspace }: { workspace: string }) => {
  const { data: session } = useQuery(sessionQuery())
  const navigate = useNavigate()
  const names = session?.workspaces ?? [workspace]
  return (
    <Menu
      align="start"
      trigger={
        <button type="button" className={css.workspace} aria-label={`Workspace ${workspace}, change`}>
          <span className={css.initial} aria-hidden>
            {workspace.slice(0, 1).toUpperCase()}
          </span>
          <span className="grow truncate">{workspace}</span>
          <ChevronsUpDown size={14} aria-hidden />
        </button>
      }
    >
      <MenuLabel>Workspaces</MenuLabel>
      <MenuChoice
        value={workspace}
        options={names.map(name => ({ value: name, label: name }))}
        onChange={name => void navigate(`/w/${name}`)}
      />
    </Menu>
  )
}

const CELLS = 24

/** A gauge of cells: filled is in use, outlined is promised to apps, the rest is free. */
const Gauge = (props: {
  label: string
  total: number
  used: number
  requested: number
  format: (n: number) => string
}) => {
  const { label, total, used, requested, format } = props
  const cells = (value: number) => (total > 0 ? Math.round((value / total) * CELLS) : 0)
  const full = total > 0 && used / total > 0.85
  const text = `${format(used)} of ${format(total)} in use, ${format(requested)} promised to apps`
  return (
    <div className={css.gauge} title={text} data-full={full || undefined}>
      <div className={css.gaugeHead}>
        <span>{label}</span>
        <span className="nums">
          {format(used)} <span className="faint">/ {format(total)}</span>
        </span>
      </div>
      <div
        className={css.cells}
        role="meter"
        aria-label={label}
        aria-valuenow={used}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuetext={text}
      >
        {Array.from({ length: CELLS }, (_, i) => (
          <span
            key={i}
            data-used={i < cells(used) || undefined}
            data-held={i < cells(requested) || undefined}
          />
        ))}
      </div>
    </div>
  )
}

const Machine = () => {
  const { data } = useQuery(capacityQuery())
  return (
    <section className={css.machine} aria-label="Capacity">
      <h3>{data && data.nodes > 1 ? `${data.nodes} machines` : 'This machine'}</h3>
      {data ? (
        <>
          <Gauge label="CPU" {...data.cpuMillis} format={cores} />
          <Gauge label="Memory" {...data.memoryBytes} format={bytes} />
        </>
      ) : (
        <>
          <Skeleton height={28} />
          <Skeleton height={28} />
        </>
      )}
    </section>
  )
}

const Account = () => {
  const { data: session } = useQuery(sessionQuery())
  const navigate = useNavigate()
  const leave = async () => {
    await api.logout()
    queries.clear()
    await navigate('/logged-out')
  }
  return (
    <Menu
      align="start"
      trigger={
        <button type="button" className={css.account}>
          <span className="truncate">{session?.user ?? '…'}</span>
        </button>
      }
    >
      <MenuLabel>Sealos {session?.version}</MenuLabel>
      <MenuLine />
      <MenuItem icon={<LogOut />} onSelect={() => void leave()}>
        Log out
      </MenuItem>
    </Menu>
  )
}

const ThemeButton = () => {
  const theme = useTheme()
  const icon = { system: <SunMoon />, light: <Sun />, dark: <Moon /> }[theme]
  return (
    <Menu trigger={<IconButton size="s" label="Light or dark" icon={icon} />}>
      <MenuChoice
        value={theme}
        options={[
          { value: 'system', label: 'As the system' },
          { value: 'light', label: 'Light' },
          { value: 'dark', label: 'Dark' },
        ]}
        onChange={value => setTheme(value === 'light' || value === 'dark' ? value : 'system')}
      />
    </Menu>
  )
}
