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
  const [params, setParams] = useSearchParams()
  const [run, setRun] = useState(1)
  const [state, setState] = useState<ScreenState>({ type: 'connecting' })
  const running = app.pods.filter(pod => pod.phase === 'Running' || pod.ready)
  const asked = params.get('pod')
  // The pod that was chosen stays chosen even when it ends: its last screen is worth reading.
  const [pod, setPod] = useState(asked ?? running[0]?.name)
  const chosen = pod ?? running[0]?.name
  if (!chosen)
    return (
      <Empty picture={<SquareTerminal size={40} aria-hidden />} title="No container to open a terminal in">
        <p>{terminalBlocked(app) ?? 'A terminal opens as soon as a pod of the app runs.'}</p>
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
          {[...new Set([chosen, ...running.map(({ name }) => name)])].map(name => (
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
      <Screen
        key={`${chosen} ${run}`}
        path={`/workspaces/${app.workspace}/apps/${app.name}/exec`}
        pod={chosen}
        onState={setState}
      />
    </section>
  )
}
