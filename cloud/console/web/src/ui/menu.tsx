/** A menu behind a button. */

import { DropdownMenu as Radix } from 'radix-ui'
import type { ReactNode } from 'react'
import css from './menu.module.css'

export const Menu = ({
  trigger,
  children,
  align = 'end',
}: {
  trigger: ReactNode
  children: ReactNode
  align?: 'start' | 'end'
}) => (
  <Radix.Root modal={false}>
    <Radix.Trigger asChild>{trigger}</Radix.Trigger>
    <Radix.Portal>
      <Radix.Content className={css.menu} align={align} sideOffset={6} collisionPadding={10}>
        {children}
      </Radix.Content>
    </Radix.Portal>
  </Radix.Root>
)

interface ItemProps {
  icon?: ReactNode
  danger?: boolean
  blocked?: string | undefined
  onSelect: () => void
  children: ReactNode
}

export const MenuItem = ({ icon, danger, blocked, onSelect, children }: ItemProps) => (
  <Radix.Item
    className={css.item}
    data-danger={danger || undefined}
    disabled={blocked !== undefined}
    title={blocked}
    onSelect={onSelect}
  >
    {icon}
    {children}
  </Radix.Item>
)

export const MenuLine = () => <Radix.Separator className={css.line} />
export const MenuLabel = ({ children }: { children: ReactNode }) => (
  <Radix.Label className={css.label}>{children}</Radix.Label>
)

/** One of several, with the chosen one marked. */
export const MenuChoice = (props: {
  value: string
  options: { value: string; label: string }[]
  onChange: (value: string) => void
}) => (
  <Radix.RadioGroup value={props.value} onValueChange={props.onChange}>
    {props.options.map(({ value, label }) => (
      <Radix.RadioItem key={value} value={value} className={css.item}>
        <span className={css.check}>
          <Radix.ItemIndicator>✓</Radix.ItemIndicator>
        </span>
        {label}
      </Radix.RadioItem>
    ))}
  </Radix.RadioGroup>
)
