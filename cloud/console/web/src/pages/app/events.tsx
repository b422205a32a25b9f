/** What the cloud did with the app, newest first. */

import { useQuery } from '@tanstack/react-query'
import { eventsQuery } from '../../api/queries'
import type { AppEvent } from '../../api/types'
import { age } from '../../lib/units'
import { Card, Empty, Skeleton, Trouble } from '../../ui/bits'
import { useApp } from './app'
import css from './events.module.css'

export default function EventsTab() {
  const app = useApp()
  const { data, error, refetch } = useQuery(eventsQuery(app.workspace, app.name))
  if (error && !data)
    return <Trouble error={error} title="The events could not be read" retry={() => void refetch()} />
  if (!data) return <Skeleton height={160} />
  if (data.length === 0)
    return (
      <Empty title="Nothing happened lately">
        <p>Scheduling, image pulls, starts, failed probes and crashes show here for about an hour.</p>
      </Empty>
    )
  return <EventList events={data} />
}

export const EventList = ({ events }: { events: AppEvent[] }) => (
  <Card flush>
    <ol className={css.events} aria-label="Events">
      {events.map(event => (
        <li key={event.id} data-type={event.type}>
          <span className={`${css.when} faint small nums`} title={new Date(event.at).toLocaleString()}>
            {age(event.at)} ago
          </span>
          <span className={css.mark} aria-hidden />
          <div className="grow">
            <p>
              <strong>{event.reason}</strong>
              {event.count > 1 && <span className={`${css.count} nums`}>× {event.count}</span>}
              <span className="faint small mono"> {event.object}</span>
            </p>
            <p className={css.message}>{event.message}</p>
          </div>
        </li>
      ))}
    </ol>
  </Card>
)
