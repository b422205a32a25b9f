/** Where one is in a bucket; every part leads back. */

import css from './files.module.css'

interface Props {
  bucket: string
  prefix: string
  onGo: (prefix: string) => void
}

export const PathCrumbs = ({ bucket, prefix, onGo }: Props) => {
  const parts = prefix.split('/').filter(Boolean)
  const steps = [
    { to: '', label: bucket },
    ...parts.map((label, i) => ({ to: `${parts.slice(0, i + 1).join('/')}/`, label })),
  ]
  return (
    <nav aria-label="Folder">
      <ol className={css.path}>
        {steps.map(({ to, label }) => (
          <li key={to}>
            {to === prefix ? (
              <span aria-current="location">{label}</span>
            ) : (
              <button type="button" onClick={() => onGo(to)}>
                {label}
              </button>
            )}
          </li>
        ))}
      </ol>
    </nav>
  )
}
