/** When backups are made, in which time zone, and how long they are kept. */

import { useMutation } from '@tanstack/react-query'
import { Save } from 'lucide-react'
import { useState } from 'react'
import { backupsQuery, databases, type Database, type Schedule } from '../../api/databases'
import { queries } from '../../api/queries'
import { nightly } from '../../form/database-draft'
import { cronOf, cronProblem, rhythmOf, WEEKDAYS, type Rhythm } from '../../lib/cron'
import { Button } from '../../ui/button'
import { Card, Trouble } from '../../ui/bits'
import { Field, Input, Select, Switch } from '../../ui/field'
import { toast } from '../../ui/toast'
import css from './backups.module.css'

const keepProblem = (days: number): string | undefined =>
  Number.isInteger(days) && days >= 1 && days <= 3650 ? undefined : 'From 1 to 3650 days'

export const scheduleProblem = ({ enabled, cron, keepDays }: Schedule): string | undefined =>
  enabled ? (cronProblem(cron) ?? keepProblem(keepDays)) : undefined

interface FieldsProps {
  schedule: Schedule
  onChange: (schedule: Schedule) => void
}

/** The fields alone: the create form has them too. */
export const ScheduleFields = ({ schedule, onChange }: FieldsProps) => {
  const read = rhythmOf(schedule.cron)
  const [own, setOwn] = useState(read.every === 'other')
  const rhythm: Rhythm = own ? { ...read, every: 'other' } : read
  const set = (part: Partial<Schedule>) => onChange({ ...schedule, ...part })
  const turn = (part: Partial<Rhythm>) => set({ cron: cronOf({ ...rhythm, ...part }) })
  const zones = [...new Set([schedule.timeZone, 'UTC', ...Intl.supportedValuesOf('timeZone')])]
  return (
    <div className={css.schedule}>
      <Field label="How often">
        {props => (
          <Select
            {...props}
            value={rhythm.every}
            onChange={event => {
              const { value } = event.target
              setOwn(value === 'other')
              if (value === 'hour' || value === 'day' || value === 'week') turn({ every: value })
            }}
          >
            <option value="hour">Every hour</option>
            <option value="day">Every day</option>
            <option value="week">Every week</option>
            <option value="other">As cron says</option>
          </Select>
        )}
      </Field>
      {rhythm.every === 'other' ? (
        <Field label="Cron" error={cronProblem(schedule.cron)}>
          {props => (
            <Input
              {...props}
              mono
              value={schedule.cron}
              onChange={event => set({ cron: event.target.value })}
            />
          )}
        </Field>
      ) : rhythm.every === 'week' ? (
        <Field label="On">
          {props => (
            <Select
              {...props}
              value={rhythm.weekday}
              onChange={event => turn({ weekday: Number(event.target.value) })}
            >
              {WEEKDAYS.map((day, i) => (
                <option key={day} value={i}>
                  {day}
                </option>
              ))}
            </Select>
          )}
        </Field>
      ) : null}
      <Field label={rhythm.every === 'hour' ? 'From' : 'At'}>
        {props => (
          <Input
            {...props}
            type="time"
            value={rhythm.time}
            onChange={event => turn({ time: event.target.value || '00:00' })}
          />
        )}
      </Field>
      <Field label="Time zone">
        {props => (
          <Select
            {...props}
            value={schedule.timeZone}
            onChange={event => set({ timeZone: event.target.value })}
          >
            {zones.map(zone => (
              <option key={zone}>{zone}</option>
            ))}
          </Select>
        )}
      </Field>
      <Field label="Keep, in days" error={keepProblem(schedule.keepDays)}>
        {props => (
          <Input
            {...props}
            inputMode="numeric"
            value={Number.isNaN(schedule.keepDays) ? '' : schedule.keepDays}
            onChange={event => set({ keepDays: Number.parseInt(event.target.value, 10) })}
          />
        )}
      </Field>
    </div>
  )
}

export const ScheduleCard = ({ database, schedule }: { database: Database; schedule: Schedule }) => {
  const [edit, setEdit] = useState<Schedule>()
  const now = edit ?? schedule
  const same = JSON.stringify(now) === JSON.stringify(schedule)
  const save = useMutation({
    mutationFn: () => databases.setSchedule(database.workspace, database.name, now),
    onSuccess: () => {
      // What was set is what is there; the next look brings the server's own words.
      queries.setQueryData(backupsQuery(database.workspace, database.name).queryKey, old =>
        old ? { ...old, schedule: now } : old,
      )
      setEdit(undefined)
      toast.done(now.enabled ? 'The schedule is set' : 'Backups are made only when you ask for them')
    },
  })
  return (
    <Card
      title="Schedule"
      aside={
        <Switch
          label="Back up by a schedule"
          checked={now.enabled}
          onChange={enabled => setEdit({ ...(schedule.enabled ? now : { ...nightly(), ...edit }), enabled })}
        />
      }
    >
      {save.error && <Trouble error={save.error} title="The schedule was not set" />}
      {now.enabled ? (
        <ScheduleFields schedule={now} onChange={setEdit} />
      ) : (
        <p className="small muted">Backups are made only when you ask for them.</p>
      )}
      {!same && (
        <footer className={css.buttons}>
          <Button look="quiet" onClick={() => setEdit(undefined)}>
            Undo
          </Button>
          <Button
            look="primary"
            icon={<Save />}
            busy={save.isPending}
            blocked={scheduleProblem(now)}
            onClick={() => save.mutate()}
          >
            Set the schedule
          </Button>
        </footer>
      )}
    </Card>
  )
}
