/** The parts of the form that every app has: what to run, where it answers, how big it is. */

import { ChevronDown, Minus, Plus, Trash2 } from 'lucide-react'
import { Collapsible } from 'radix-ui'
import { bytes, cores, CPU_STEPS, MEMORY_STEPS, parseBytes, parseCpu, quantity } from '../lib/units'
import { Button, IconButton } from '../ui/button'
import { Field, Input, Segments, Select, Steps, Switch } from '../ui/field'
import { newPort, routed, type Draft, type PortDraft } from './draft'
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

const PROTOCOLS: { value: PortDraft['protocol']; label: string }[] = [
  { value: 'HTTP', label: 'HTTP' },
  { value: 'GRPC', label: 'gRPC' },
  { value: 'WS', label: 'WebSocket' },
  { value: 'TCP', label: 'TCP' },
  { value: 'UDP', label: 'UDP' },
]

/** Where the port will answer, in words. */
const address = (
  port: PortDraft,
  first: boolean,
  draft: Draft,
  workspace: string,
  domain: string,
): string => {
  const name = draft.name || 'name'
  if (!port.public) return `Only inside: ${name}.${workspace}.svc:${port.port}`
  if (!routed(port)) return 'A port of the machine, chosen when it is deployed'
  return first ? `${name}-${workspace}.${domain}` : `A host of its own under ${domain}`
}

export const NetworkSection = (props: SectionProps & { domain: string; workspace: string }) => {
  const { draft, set, problem, touch, domain, workspace } = props
  const change = (key: string, part: Partial<PortDraft>) =>
    set({ ports: draft.ports.map(port => (port.key === key ? { ...port, ...part } : port)) })
  const firstPublic = draft.ports.find(port => port.public && routed(port))?.key
  return (
    <Section
      title="Network"
      lead="The ports the app listens on. A public one gets an address that browsers can open."
      aside={
        <Button size="s" icon={<Plus />} onClick={() => set({ ports: [...draft.ports, newPort('', false)] })}>
          Add a port
        </Button>
      }
    >
      {draft.ports.length === 0 && (
        <p className={css.none}>No ports: the app answers to nobody, as a worker does.</p>
      )}
      {draft.ports.map((port, i) => (
        <div key={port.key} className={css.port}>
          <Field label="Port" error={problem(`ports.${i}.port`)}>
            {props => (
              <Input
                {...props}
                inputMode="numeric"
                placeholder="80"
                value={port.port}
                onChange={event => change(port.key, { port: event.target.value })}
                onBlur={() => touch(`ports.${i}.port`)}
              />
            )}
          </Field>
          <Field label="Protocol">
            {props => (
              <Select
                {...props}
                value={port.protocol}
                onChange={event => {
                  const chosen = PROTOCOLS.find(({ value }) => value === event.target.value)
                  if (chosen) change(port.key, { protocol: chosen.value })
                }}
              >
                {PROTOCOLS.map(({ value, label }) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </Select>
            )}
          </Field>
          <div className={css.public}>
            <Switch
              label="Public address"
              checked={port.public}
              onChange={on => change(port.key, { public: on })}
            />
            <p className="small faint">
              {!(port.ownHost && port.public) && (
                <span>{address(port, port.key === firstPublic, draft, workspace, domain)}</span>
              )}
              {port.public && routed(port) && (
                <button
                  type="button"
                  className={css.linkish}
                  onClick={() => change(port.key, { ownHost: !port.ownHost, host: '' })}
                >
                  {port.ownHost ? 'Use the cloud’s address' : 'Use my own host name'}
                </button>
              )}
            </p>
          </div>
          <IconButton
            label={`Remove port ${port.port}`}
            icon={<Trash2 />}
            onClick={() => set({ ports: draft.ports.filter(other => other.key !== port.key) })}
          />
          {port.public && routed(port) && port.ownHost && (
            <div className={css.host}>
              <Field
                label="Own host name"
                help="Point its DNS record at this machine."
                error={problem(`ports.${i}.host`)}
              >
                {props => (
                  <Input
                    {...props}
                    mono
                    placeholder="shop.example.com"
                    value={port.host}
                    onChange={event => change(port.key, { host: event.target.value })}
                    onBlur={() => touch(`ports.${i}.host`)}
                  />
                )}
              </Field>
            </div>
          )}
        </div>
      ))}
    </Section>
  )
}

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

export const AdvancedSection = ({ draft, set, problem, touch }: SectionProps) => {
  const wrong = ['command', 'args', 'username', 'password'].some(field => problem(field))
  const used = draft.command !== '' || draft.args !== '' || draft.registryOn
  return (
    <Collapsible.Root className={css.section} defaultOpen={used} {...(wrong ? { open: true } : {})}>
      <Collapsible.Trigger className={css.fold}>
        <span className="grow">
          <h2>Advanced</h2>
          <span className="small muted">Command, arguments, private registry</span>
        </span>
        <ChevronDown size={18} aria-hidden />
      </Collapsible.Trigger>
      <Collapsible.Content className={css.folded}>
        <div className={css.two}>
          <Field label="Command" error={problem('command')} help="Replaces the image’s entry point.">
            {props => (
              <Input
                {...props}
                mono
                placeholder="/usr/bin/server"
                value={draft.command}
                onChange={event => set({ command: event.target.value })}
                onBlur={() => touch('command')}
              />
            )}
          </Field>
          <Field label="Arguments" error={problem('args')} help="Separated by spaces; quote what has one.">
            {props => (
              <Input
                {...props}
                mono
                placeholder="--verbose --name 'two words'"
                value={draft.args}
                onChange={event => set({ args: event.target.value })}
                onBlur={() => touch('args')}
              />
            )}
          </Field>
        </div>
        <Switch
          label="The image is in a private registry"
          checked={draft.registryOn}
          onChange={registryOn => set({ registryOn })}
        />
        {draft.registryOn && (
          <div className={css.three}>
            {(
              [
                ['server', 'Registry', 'docker.io'],
                ['username', 'User', ''],
                ['password', 'Password or token', ''],
              ] as const
            ).map(([field, label, placeholder]) => (
              <Field key={field} label={label} error={problem(field)}>
                {props => (
                  <Input
                    {...props}
                    type={field === 'password' ? 'password' : 'text'}
                    autoComplete={field === 'password' ? 'new-password' : 'off'}
                    placeholder={placeholder}
                    value={draft[field]}
                    onChange={event => set({ [field]: event.target.value })}
                    onBlur={() => touch(field)}
                  />
                )}
              </Field>
            ))}
          </div>
        )}
      </Collapsible.Content>
    </Collapsible.Root>
  )
}
