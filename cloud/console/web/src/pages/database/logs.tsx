/** What the engine says, as it says it. */

import { LogView } from '../app/logs'
import { useDatabase } from './database'

export default function LogsTab() {
  const { workspace, name, members } = useDatabase()
  return (
    <LogView
      path={`/workspaces/${workspace}/databases/${name}/logs`}
      name={name}
      pods={members.map(({ pod }) => pod)}
    />
  )
}
