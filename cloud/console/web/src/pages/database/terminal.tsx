/** The engine's own client, logged in. */

import { askBlocked } from '../../lib/database-actions'
import { TerminalPanel } from '../app/terminal'
import { useDatabase } from './database'

export default function TerminalTab() {
  const database = useDatabase()
  const ready = database.members.filter(member => member.ready)
  const pods = ready.toSorted((a, b) => Number(b.role === 'primary') - Number(a.role === 'primary'))
  return (
    <TerminalPanel
      path={`/workspaces/${database.workspace}/databases/${database.name}/exec`}
      pods={pods.map(({ pod }) => pod)}
      none={askBlocked(database) ?? 'The client opens as soon as a replica is ready.'}
    />
  )
}
