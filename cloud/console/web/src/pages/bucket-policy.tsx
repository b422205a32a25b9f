/** Who may read and write a bucket without keys, with what that means. */

import { Globe, Lock, TriangleAlert } from 'lucide-react'
import type { Policy } from '../api/buckets'
import css from './buckets.module.css'

const CHOICES: { value: Policy; title: string; text: string; icon: typeof Lock }[] = [
  { value: 'private', title: 'Private', text: 'Only with the keys of the workspace.', icon: Lock },
  { value: 'publicRead', title: 'Public to read', text: 'Everyone may read, nobody may write.', icon: Globe },
  {
    value: 'publicReadwrite',
    title: 'Public to read and write',
    text: 'Everyone may read, replace and delete.',
    icon: TriangleAlert,
  },
]

const WARNINGS: Partial<Record<Policy, string>> = {
  publicRead: 'Everybody who can reach this machine can list and read every file in it, without a key.',
  publicReadwrite:
    'Everybody who can reach this machine can fill this bucket and delete what is in it. Almost never what is wanted.',
}

export const PolicyChoice = ({
  policy,
  onChange,
}: {
  policy: Policy
  onChange: (policy: Policy) => void
}) => (
  <>
    <fieldset className={css.choices}>
      <legend>Access</legend>
      {CHOICES.map(({ value, title, text, icon: Icon }) => (
        <label key={value} className={css.choice}>
          <input
            type="radio"
            name="policy"
            value={value}
            checked={value === policy}
            onChange={() => onChange(value)}
          />
          <Icon size={16} aria-hidden />
          <span>
            <strong>{title}</strong>
            <span className="small muted">{text}</span>
          </span>
        </label>
      ))}
    </fieldset>
    {WARNINGS[policy] && (
      <p className={css.warning} data-grave={policy === 'publicReadwrite' || undefined} role="note">
        {WARNINGS[policy]}
      </p>
    )}
  </>
)
