/** Light, dark, or as the system says. `public/theme.js` applies the choice before the first paint. */

import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'

const KEY = 'sealos.theme'
const listeners = new Set<() => void>()

const read = (): Theme => {
  const value = document.documentElement.dataset['theme']
  return value === 'light' || value === 'dark' ? value : 'system'
}

export const setTheme = (theme: Theme): void => {
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
  try {
    if (theme === 'system') localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, theme)
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  for (const listener of listeners) listener()
}

const subscribe = (listener: () => void) => {
  const system = matchMedia('(prefers-color-scheme: dark)')
  listeners.add(listener)
  system.addEventListener('change', listener)
  return () => {
    listeners.delete(listener)
    system.removeEventListener('change', listener)
  }
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, read)

/** What is seen, whatever was chosen: for canvases, which know no CSS. */
export const useDark = (): boolean =>
  useSyncExternalStore(subscribe, () => {
    const theme = read()
    return theme === 'system' ? matchMedia('(prefers-color-scheme: dark)').matches : theme === 'dark'
  })
