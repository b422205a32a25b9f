/** What the cloud did with the database, newest first. */

import { useQuery } from '@tanstack/react-query'
import { databaseEventsQuery } from '../../api/databases'
import { Empty, Skeleton, Trouble } from '../../ui/bits'
import { EventList } from '../app/events'
import { useDatabase } from './database'

export default function EventsTab() {
  const { workspace, name } = useDatabase()
  const { data, error, refetch } = useQuery(databaseEventsQuery(workspace, name))
  if (error && !data)
    return <Trouble error={error} title="The events could not be read" retry={() => void refetch()} />
  if (!data) return <Skeleton height={160} />
  if (data.length === 0)
    return (
      <Empty title="Nothing happened lately">
        <p>Starts, new primaries, backups and trouble show here for about an hour.</p>
      </Empty>
    )
  return <EventList events={data} />
}
