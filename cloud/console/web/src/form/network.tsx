/** The part of the form about ports and addresses. */

import { Plus, Trash2 } from 'lucide-react'
import { Button, IconButton } from '../ui/button'
import { Field, Input, Select, Switch } from '../ui/field'
import { newPort, routed, type Draft, type PortDraft } from './draft'
import { Section, type SectionProps } from './form'
import css from './form.module.css'

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
