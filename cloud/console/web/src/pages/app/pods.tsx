/** The pods of an app. */

import { ScrollText, SquareTerminal } from 'lucide-react'
import type { App, Pod } from '../../api/types'
import { podWords } from '../../lib/plain'
import { age } from '../../lib/units'
import { IconLink } from '../../ui/button'
import { Card } from '../../ui/bits'
import css from './pods.module.css'

const BAD = /Crash|Err|Error|BackOff|Invalid|OOM/

const tone = (pod: Pod) =>
  pod.ready ? 'alive' : BAD.test(pod.phase) ? 'trouble' : pod.phase === 'Terminating' ? 'rest' : 'coming'

export const Pods = ({ app }: { app: App }) => (
  <Card title="Pods" flush>
    {app.pods.length === 0 ? (
      <p className={css.none}>{app.phase === 'stopped' ? 'A stopped app has no pods.' : 'No pods yet.'}</p>
    ) : (
      <div className={css.scroll}>
        <table className={css.table}>
          <thead>
            <tr>
              <th>Pod</th>
              <th>State</th>
              <th>Restarts</th>
              <th>Address</th>
              <th>Machine</th>
              <th>Age</th>
              <th>
                <span className="sr-only">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {app.pods.map(pod => (
              <PodRow key={pod.name} app={app} pod={pod} />
            ))}
          </tbody>
        </table>
      </div>
    )}
  </Card>
)

const PodRow = ({ app, pod }: { app: App; pod: Pod }) => {
  const to = (tab: string) => `/w/${app.workspace}/apps/${app.name}/${tab}?pod=${pod.name}`
  return (
    <tr>
      <td className="mono">{pod.name}</td>
      <td>
        <span className={css.state} data-tone={tone(pod)} title={pod.phase}>
          {podWords(pod.phase, pod.ready)}
        </span>
      </td>
      <td className="nums" data-many={pod.restarts > 3 || undefined}>
        {pod.restarts}
      </td>
      <td className="mono muted">{pod.ip ?? '—'}</td>
      <td className="muted">{pod.node ?? '—'}</td>
      <td className="nums muted">{pod.createdAt ? age(pod.createdAt) : '—'}</td>
      <td>
        <span className={css.actions}>
          <IconLink to={to('logs')} label={`Logs of ${pod.name}`} icon={<ScrollText />} />
          <IconLink to={to('terminal')} label={`Terminal in ${pod.name}`} icon={<SquareTerminal />} />
        </span>
      </td>
    </tr>
  )
}
