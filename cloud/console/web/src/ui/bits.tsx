/** Small pieces used on many pages. */

import { Check, Copy, TriangleAlert } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { Link } from 'react-router'
import { ApiError } from '../api/client'
import { sentence } from '../lib/plain'
import { Button, IconButton } from './button'
import css from './bits.module.css'

export const Card = ({
  title,
  aside,
  children,
  flush,
}: {
  title?: ReactNode
  aside?: ReactNode
  children: ReactNode
  flush?: boolean
}) => (
  <section className={css.card} data-flush={flush || undefined}>
    {(title || aside) && (
      <header className={css.cardHead}>
        {title && <h2>{title}</h2>}
        {aside}
      </header>
    )}
    {children}
  </section>
)

export const CopyButton = ({ text, label = 'Copy' }: { text: string; label?: string }) => {
  const [copied, setCopied] = useState(false)
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
    setTimeout(() => setCopied(false), 1_500)
  }
  return (
    <IconButton
      size="s"
      label={copied ? 'Copied' : label}
      icon={copied ? <Check /> : <Copy />}
      onClick={event => {
        event.preventDefault()
        void copy()
      }}
    />
  )
}

export const Command = ({ children }: { children: string }) => (
  <div className={css.command}>
    <code>{children}</code>
    <CopyButton text={children.replaceAll(/ \\\n\s*/g, ' ')} label="Copy the command" />
  </div>
)

export const Skeleton = ({ width = '100%', height = 14 }: { width?: number | string; height?: number }) => (
  <span className={css.skeleton} style={{ width, height }} aria-hidden />
)

/** Where something will be, and how to make it so. */
export const Empty = ({
  picture,
  title,
  children,
}: {
  picture?: ReactNode
  title: string
  children?: ReactNode
}) => (
  <div className={css.empty}>
    {picture}
    <h2>{title}</h2>
    {children}
  </div>
)

export const Trouble = ({ error, title, retry }: { error: unknown; title: string; retry?: () => void }) => (
  <div className={css.trouble} role="alert">
    <TriangleAlert size={18} aria-hidden />
    <div className="grow">
      <h3>{title}</h3>
      <p>
        <Plain text={error instanceof Error ? error.message : String(error)} />
      </p>
      {error instanceof ApiError && error.detail && (
        <p className={css.detail}>
          <Plain text={error.detail} />
        </p>
      )}
    </div>
    {retry && (
      <Button size="s" onClick={retry}>
        Try again
      </Button>
    )}
  </div>
)

/** The server's words as a sentence, with what it quotes set apart. */
export const Plain = ({ text }: { text: string }) =>
  sentence(text)
    .split('`')
    .map((part, i) =>
      i % 2 === 1 ? (
        // Parts of one sentence have no identity but their place.
        // oxlint-disable-next-line react/no-array-index-key
        <code key={i} className={css.quoted}>
          {part}
        </code>
      ) : (
        part
      ),
    )

/** Where the page stands. */
export const Crumbs = ({ to, parent, here }: { to: string; parent: string; here: string }) => (
  <nav aria-label="Breadcrumb">
    <ol className={css.crumbs}>
      <li>
        <Link to={to}>{parent}</Link>
      </li>
      <li aria-current="page">{here}</li>
    </ol>
  </nav>
)

export const Kbd = ({ children }: { children: ReactNode }) => <kbd className={css.kbd}>{children}</kbd>

/** The seal, half out of the water. */
export const Seal = ({ size = 28 }: { size?: number }) => (
  <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden className={css.seal}>
    <path
      className={css.sealBody}
      d="M16 5.500c-5 0-8.3 3.6-8.3 8.700V20h16.600v-5.800c0-5.1-3.3-8.7-8.3-8.700z"
    />
    <g className={css.sealFace}>
      <circle cx="12.7" cy="13.2" r="1.4" />
      <circle cx="19.3" cy="13.2" r="1.4" />
      <path d="M14.5 16.200h3L16 17.900z" />
    </g>
    <path
      className={css.sealWave}
      d="M2 20c2.3 0 2.3 1.8 4.7 1.800S9 20 11.3 20s2.4 1.8 4.7 1.800S18.3 20 20.7 20s2.3 1.8 4.6 1.800S27.7 20 30 20v5.200c-2.3 0-2.3 1.8-4.7 1.800s-2.3-1.8-4.6-1.800S18.3 27 16 27s-2.3-1.8-4.7-1.800S9 27 6.7 27 4.3 25.2 2 25.200z"
    />
  </svg>
)
