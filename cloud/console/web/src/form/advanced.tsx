/** The part of the form that most apps leave as it is. */

import { ChevronDown } from 'lucide-react'
import { Collapsible } from 'radix-ui'
import { Field, Input, Switch } from '../ui/field'
import type { SectionProps } from './form'
import css from './form.module.css'

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
