/** Short messages about what has just happened. Trouble stays until it is put away. */

import { Check, TriangleAlert, X } from 'lucide-react'
import { Toast } from 'radix-ui'
import { useSyncExternalStore } from 'react'
import { ApiError } from '../api/client'
import css from './toast.module.css'

interface Message {
  id: number
  tone: 'done' | 'trouble'
  title: string
  detail?: string
}

let messages: Message[] = []
let lastId = 0
const listeners = new Set<() => void>()

const change = (next: Message[]) => {
  messages = next
  for (const listener of listeners) listener()
}

const say = (message: Omit<Message, 'id'>) =>
  change([...messages.slice(-3), { ...message, id: (lastId += 1) }])

export const toast = {
  done: (title: string, detail?: string) => say({ tone: 'done', title, ...(detail ? { detail } : {}) }),
  /** What was attempted, and what the cloud answered. */
  trouble: (title: string, error: unknown) => {
    const detail =
      error instanceof ApiError ? [error.message, error.detail].filter(Boolean).join(' — ') : String(error)
    say({ tone: 'trouble', title, detail })
  },
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const Toasts = () => {
  const shown = useSyncExternalStore(subscribe, () => messages)
  return (
    <Toast.Provider swipeDirection="right" label="Messages">
      {shown.map(({ id, tone, title, detail }) => (
        <Toast.Root
          key={id}
          className={css.toast}
          data-tone={tone}
          duration={tone === 'trouble' ? Infinity : 4_000}
          onOpenChange={open => open || change(messages.filter(message => message.id !== id))}
        >
          <span className={css.mark} aria-hidden>
            {tone === 'done' ? <Check size={15} /> : <TriangleAlert size={15} />}
          </span>
          <div className="grow">
            <Toast.Title className={css.title}>{title}</Toast.Title>
            {detail && <Toast.Description className={css.detail}>{detail}</Toast.Description>}
          </div>
          <Toast.Close className={css.close} aria-label="Put away">
            <X size={14} />
          </Toast.Close>
        </Toast.Root>
      ))}
      <Toast.Viewport className={css.viewport} />
    </Toast.Provider>
  )
}
