/** A question that must be answered before anything else. Focus stays inside. */

import { X } from 'lucide-react'
import { Dialog as Radix } from 'radix-ui'
import type { ReactNode } from 'react'
import { IconButton } from './button'
import css from './dialog.module.css'

interface Props {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: string
  description?: ReactNode
  children?: ReactNode
  footer?: ReactNode
  wide?: boolean
}

/** What is asked comes first; without a question the dialog itself, never the button that closes it. */
const focusFirstField = (event: Event) => {
  const content = event.currentTarget
  if (!(content instanceof HTMLElement)) return
  event.preventDefault()
  const field = content.querySelector<HTMLElement>('input, textarea')
  if (field) field.focus()
  else content.focus()
}

export const Dialog = ({ open, onOpenChange, title, description, children, footer, wide }: Props) => (
  <Radix.Root open={open} onOpenChange={onOpenChange}>
    <Radix.Portal>
      <Radix.Overlay className={css.veil} />
      <Radix.Content
        className={`${css.dialog} ${wide ? css.wide : ''}`}
        onOpenAutoFocus={focusFirstField}
        {...(description ? {} : { 'aria-describedby': undefined })}
      >
        <header className={css.header}>
          <Radix.Title asChild>
            <h2>{title}</h2>
          </Radix.Title>
          <Radix.Close asChild>
            <IconButton label="Close" size="s" icon={<X />} />
          </Radix.Close>
        </header>
        {description && <Radix.Description className={css.description}>{description}</Radix.Description>}
        {children}
        {footer && <footer className={css.footer}>{footer}</footer>}
      </Radix.Content>
    </Radix.Portal>
  </Radix.Root>
)
