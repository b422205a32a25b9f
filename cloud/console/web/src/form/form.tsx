/** The form that describes an app: the same for the first deploy and for every change. */

import { useState, type ReactNode } from 'react'
import type { FieldError } from '../api/types'
import { AdvancedSection } from './advanced'
import { fieldOf, type Draft } from './draft'
import { NetworkSection } from './network'
import type { Problems } from './problems'
import { EnvSection, FilesSection, StorageSection } from './rows'
import { ImageSection, SizeSection } from './sections'
import { ServicesSection } from './services'
import css from './form.module.css'

export interface SectionProps {
  draft: Draft
  set: (change: Partial<Draft>) => void
  /** The message of a field, once it is time to show it. */
  problem: (field: string) => string | undefined
  touch: (field: string) => void
  /** True when the app exists: its name is settled. */
  existing: boolean
}

interface Props {
  draft: Draft
  onChange: (change: Partial<Draft>) => void
  problems: Problems
  /** What the server found wrong, until the field changes. */
  refused: FieldError[]
  /** True once a person has asked to deploy: then nothing is hidden any more. */
  all: boolean
  existing: boolean
  domain: string
  workspace: string
}

export const AppForm = ({ draft, onChange, problems, refused, all, existing, domain, workspace }: Props) => {
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set())
  const section: SectionProps = {
    draft,
    existing,
    set: onChange,
    touch: field => setTouched(old => new Set(old).add(field)),
    problem: field =>
      (all || touched.has(field) ? problems[field] : undefined) ??
      refused.find(error => fieldOf(error, draft) === field)?.message,
  }
  return (
    <div className={css.form}>
      <ImageSection {...section} />
      <NetworkSection {...section} domain={domain} workspace={workspace} />
      <ServicesSection {...section} workspace={workspace} />
      <SizeSection {...section} />
      <EnvSection {...section} />
      <FilesSection {...section} />
      <StorageSection {...section} />
      <AdvancedSection {...section} />
    </div>
  )
}

/** A titled part of the form. */
export const Section = ({
  title,
  lead,
  aside,
  children,
}: {
  title: string
  lead?: ReactNode
  aside?: ReactNode
  children: ReactNode
}) => (
  <section className={css.section} aria-label={title}>
    <header className={css.sectionHead}>
      <div className="grow">
        <h2>{title}</h2>
        {lead && <p className="small muted">{lead}</p>}
      </div>
      {aside}
    </header>
    {children}
  </section>
)
