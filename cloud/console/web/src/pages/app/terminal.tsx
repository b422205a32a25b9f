/** A shell in one of the app's containers. */

import { Plug, SquareTerminal } from 'lucide-react'
import { useState } from 'react'
import { useSearchParams } from 'react-router'
import { terminalBlocked } from '../../lib/actions'
import { Button } from '../../ui/button'
import { Empty } from '../../ui/bits'
import { Select } from '../../ui/field'
import { useApp } from './app'
import { Screen, type ScreenState } from './screen'
import css from './terminal.module.css'

export default function TerminalTab() {
  const app = useApp()
  return (
    <TerminalPanel
      path={`/workspaces/${app.workspace}/apps/${app.name}/exec`}
      pods={app.pods.filter(pod => pod.phase === 'Running' || pod.ready).map(pod => pod.name)}
      none={terminalBlocked(app) ?? 'A terminal opens as soon as a pod of the app runs.'}
    />
  )
}

interface PanelProps {
  /** The socket's address. */
  path: string
  /** The pods one can be in; the first is the one that is meant when none is chosen. */
  pods: string[]
  /** Why there is no pod. */
  none: string
}

export const TerminalPanel = ({ path, pods, none }: PanelProps) => {
  const [params, setParams] = useSearchParams()
  const [run, setRun] = useState(1)
  const [state, setState] = useState<ScreenState>({ type: 'connecting' })
  const asked = params.get('pod')
  // The pod that was chosen stays chosen even when it ends: its last screen is worth reading.
  const [pod, setPod] = useState(asked ?? pods[0])
  const chosen = pod ?? pods[0]
  if (!chosen)
    return (
      <Empty picture={<SquareTerminal size={40} aria-hidden />} title="No container to open a terminal in">
        <p>{none}</p>
      </Empty>
    )
  const choose = (name: string) => {
    setPod(name)
    setParams({ pod: name }, { replace: true })
  }
  const over = state.type === 'ended'
  return (
    <section className={css.panel} aria-label="Terminal">
      <header className={css.tools}>
        <Select
          className={css.pods ?? ''}
          aria-label="Pod"
          value={chosen}
          onChange={event => choose(event.target.value)}
        >
          {[...new Set([chosen, ...pods])].map(name => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </Select>
        <span className={`${css.state} grow truncate`} data-state={state.type} role="status">
          {state.type === 'connecting' ? 'Connecting…' : over ? state.why : 'Connected'}
        </span>
        {over && (
          <Button size="s" icon={<Plug />} onClick={() => setRun(run + 1)}>
            Connect again
          </Button>
        )}
      </header>
      <Screen key={`${chosen} ${run}`} path={path} pod={chosen} onState={setState} />
    </section>
  )
}
