/** Keyboard shortcuts: single keys, silent while something is being typed. */

import { useEffect, useEffectEvent } from 'react'

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    /^(?:input|textarea|select)$/i.test(target.tagName) ||
    target.closest('.xterm') !== null)

/** Calls the handler of the key that was pressed. */
export const useKeys = (handlers: Record<string, () => void>): void => {
  const press = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
    if (typing(event.target) || document.querySelector('[role=dialog],[role=menu]')) return
    const handler = handlers[event.key]
    if (!handler) return
    event.preventDefault()
    handler()
  })
  useEffect(() => {
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
}
