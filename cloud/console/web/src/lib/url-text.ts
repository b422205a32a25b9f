/** A text that is typed here and remembered in the address, so that a link or a reload brings it back. */

import { useEffect, useState } from 'react'
import { useSearchParams } from 'react-router'

const SETTLED_MS = 250

/**
 * The address follows when typing pauses: navigation takes its time, and a field bound to it would
 * lose letters. A change of the address from elsewhere is taken over.
 */
export const useUrlText = (key: string): [text: string, setText: (text: string) => void] => {
  const [params, setParams] = useSearchParams()
  const inUrl = params.get(key) ?? ''
  const [text, setText] = useState(inUrl)
  const [seen, setSeen] = useState(inUrl)
  const [mine, setMine] = useState<string>()
  if (inUrl !== seen) {
    setSeen(inUrl)
    // What was written from here has come back; more may have been typed since.
    if (inUrl !== mine) setText(inUrl)
    setMine(undefined)
  }
  useEffect(() => {
    if (text === inUrl) return undefined
    const timer = setTimeout(() => {
      setMine(text)
      setParams(
        old => {
          const next = new URLSearchParams(old)
          if (text) next.set(key, text)
          else next.delete(key)
          return next
        },
        { replace: true, preventScrollReset: true },
      )
    }, SETTLED_MS)
    return () => clearTimeout(timer)
  }, [text, inUrl, key, setParams])
  return [text, setText]
}
