/** The parts of the form that every app has: what to run, and how big it is. */

import { Minus, Plus } from 'lucide-react'
import { bytes, cores, CPU_STEPS, MEMORY_STEPS, parseBytes, parseCpu, quantity } from '../lib/units'
import { IconButton } from '../ui/button'
import { Field, Input, Segments, Select, Steps } from '../ui/field'
import { Section, type SectionProps } from './form'
import css from './form.module.css'

export const ImageSection = ({ draft, set, problem, touch, existing }: SectionProps) => (
  <Section title="App">
    <div className={css.two}>
      <Field
        label="Image"
        error={problem('image')}
        help="From any registry, or one built here with “sealos build”."
      >
        {props => (
          <Input
            {...props}
            mono
            name="image"
            placeholder="nginx:alpine"
            value={draft.image}
            onChange={event => set({ image: event.target.value })}
            onBlur={() => touch('image')}
          />
        )}
      </Field>
      <Field
        label="Name"
        error={problem('name')}
        help={existing ? 'A name is for life.' : 'Also the first part of its address.'}
      >
        {props => (
          <Input
            {...props}
            mono
            name="name"
            placeholder="web"
            value={draft.name}
            readOnly={existing}
            onChange={event => {
              set({ name: event.target.value })
              touch('name')
            }}
            onBlur={() => touch('name')}
          />
        )}
      </Field>
    </div>
  </Section>
)

const coreLabel = (millis: number) => String(millis / 1000)
const memoryLabel = (value: number) =>
  value >= 1024 ** 3 ? `${value / 1024 ** 3}G` : `${value / 1024 ** 2}M`

export const SizeSection = (props: SectionProps) => {
  const { draft, set, problem, touch } = props
  return (
    <Section
      title="Size"
      lead="The most that each replica may use. A tenth of it is set aside; the rest is shared."
    >
      <div className={css.size}>
        <Steps
          label="CPU"
          steps={CPU_STEPS}
          value={parseCpu(draft.cpu)}
          format={coreLabel}
          onChange={millis => set({ cpu: cores(millis) })}
        />
        <Field label="CPU, in cores" error={problem('cpu')}>
          {props => (
            <Input
              {...props}
              value={draft.cpu}
              onChange={event => set({ cpu: event.target.value })}
              onBlur={() => touch('cpu')}
            />
          )}
        </Field>
        <Steps
          label="Memory"
          steps={MEMORY_STEPS}
          value={parseBytes(draft.memory)}
          format={memoryLabel}
          onChange={value => set({ memory: quantity(value) })}
        />
        <Field label="Memory" error={problem('memory')}>
          {props => (
            <Input
              {...props}
              value={draft.memory}
              onChange={event => set({ memory: event.target.value })}
              onBlur={() => touch('memory')}
            />
          )}
        </Field>
      </div>
      <hr className={css.rule} />
      <div className={css.replicas}>
        <Segments
          label="Replicas"
          value={draft.scaling}
          options={[
            { value: 'fixed', label: 'Fixed replicas' },
            { value: 'auto', label: 'Autoscale' },
          ]}
          onChange={scaling => set({ scaling })}
        />
        {draft.scaling === 'fixed' ? (
          <Replicas
            value={draft.replicas}
            error={problem('replicas')}
            onChange={replicas => set({ replicas })}
          />
        ) : (
          <Autoscale {...props} />
        )}
      </div>
    </Section>
  )
}

interface ReplicasProps {
  value: string
  error?: string | undefined
  onChange: (value: string) => void
  blocked?: string | undefined
}

/** A number with a button on either side. */
export const Replicas = ({ value, error, onChange, blocked }: ReplicasProps) => {
  const count = Number.parseInt(value, 10) || 0
  return (
    <Field label="Replicas" hideLabel error={error}>
      {props => (
        <span className={css.stepper}>
          <IconButton
            label="One fewer"
            icon={<Minus />}
            blocked={blocked ?? (count <= 0 ? 'None left' : undefined)}
            onClick={() => onChange(String(Math.max(0, count - 1)))}
          />
          <Input
            {...props}
            inputMode="numeric"
            readOnly={blocked !== undefined}
            value={value}
            onChange={event => onChange(event.target.value)}
          />
          <IconButton
            label="One more"
            icon={<Plus />}
            blocked={blocked}
            onClick={() => onChange(String(count + 1))}
          />
        </span>
      )}
    </Field>
  )
}

const Autoscale = ({ draft, set, problem, touch }: SectionProps) => {
  const number = (field: 'min' | 'max' | 'percent', label: string) => (
    <Field label={label} error={problem(field)}>
      {props => (
        <Input
          {...props}
          inputMode="numeric"
          value={draft[field]}
          onChange={event => set({ [field]: event.target.value })}
          onBlur={() => touch(field)}
        />
      )}
    </Field>
  )
  return (
    <div className={css.auto}>
      {number('min', 'Fewest')}
      {number('max', 'Most')}
      <Field label="By the use of">
        {props => (
          <Select
            {...props}
            value={draft.metric}
            onChange={event => set({ metric: event.target.value === 'memory' ? 'memory' : 'cpu' })}
          >
            <option value="cpu">CPU</option>
            <option value="memory">Memory</option>
          </Select>
        )}
      </Field>
      {number('percent', 'Target, in %')}
      <p className="small faint">
        Adds a replica when the average use of {draft.metric === 'cpu' ? 'CPU' : 'memory'} is above{' '}
        {draft.percent || '…'} % of{' '}
        {draft.metric === 'cpu' ? `${draft.cpu} cores` : bytes(parseBytes(draft.memory) ?? 0)}.
      </p>
    </div>
  )
}
