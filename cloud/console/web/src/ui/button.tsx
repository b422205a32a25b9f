/** Buttons. A blocked one stays visible and says why. */

import { Slot, Tooltip } from 'radix-ui'
import type { ComponentProps, ReactNode } from 'react'
import { Link } from 'react-router'
import css from './button.module.css'
import { Spinner } from './spinner'

type Look = 'primary' | 'plain' | 'quiet' | 'danger'

interface Props extends ComponentProps<'button'> {
  look?: Look
  size?: 'm' | 's'
  icon?: ReactNode
  busy?: boolean
  /** Why the action cannot be taken now; undefined when it can. */
  blocked?: string | undefined
  asChild?: boolean
}

const classes = (look: Look, size: string, bare: boolean, more?: string) =>
  [css.button, css[look], size === 's' && css.small, bare && css.bare, more].filter(Boolean).join(' ')

export const Button = (props: Props) => {
  const { look = 'plain', size = 'm', icon, busy, blocked, asChild, className, children, ...rest } = props
  const name = classes(look, size, children === undefined, className)
  if (asChild) {
    return (
      <Slot.Root className={name} {...rest}>
        {children}
      </Slot.Root>
    )
  }
  const off = busy || blocked !== undefined || rest.disabled
  const button = (
    <button
      type="button"
      {...rest}
      className={name}
      aria-disabled={off || undefined}
      onClick={off ? event => event.preventDefault() : rest.onClick}
    >
      {busy ? <Spinner /> : icon}
      {children}
    </button>
  )
  return blocked === undefined ? button : <Hint text={blocked}>{button}</Hint>
}

/** A word of explanation on hover and focus. */
export const Hint = ({ text, children }: { text: ReactNode; children: ReactNode }) => (
  <Tooltip.Root>
    <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
    <Tooltip.Portal>
      <Tooltip.Content className={css.hint} sideOffset={6} collisionPadding={10}>
        {text}
      </Tooltip.Content>
    </Tooltip.Portal>
  </Tooltip.Root>
)

/** An icon that leads somewhere. */
export const IconLink = ({ label, to, icon }: { label: string; to: string; icon: ReactNode }) => (
  <Hint text={label}>
    <Link to={to} aria-label={label} className={classes('quiet', 's', true)}>
      {icon}
    </Link>
  </Hint>
)

/** An icon that acts; its label is read aloud and shown on hover. */
export const IconButton = ({ label, ...rest }: Omit<Props, 'children'> & { label: string }) => (
  <Hint text={rest.blocked ?? label}>
    <Button
      look="quiet"
      {...rest}
      blocked={undefined}
      disabled={rest.blocked !== undefined || rest.disabled}
      aria-label={label}
    />
  </Hint>
)
