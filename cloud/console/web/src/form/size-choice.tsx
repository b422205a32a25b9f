/** Three sizes that fit most, and fields for all the others. */

import { bytes, parseBytes } from '../lib/units'
import { Field, Input } from '../ui/field'
import { PRESETS, type SizeDraft } from './database-draft'
import css from './size-choice.module.css'

interface Props {
  size: SizeDraft
  onChange: (size: Partial<SizeDraft>) => void
  problem: (field: string) => string | undefined
}

const same = (a: SizeDraft, b: SizeDraft) =>
  a.cpu === b.cpu && a.memory === b.memory && a.storage === b.storage

const inWords = ({ cpu, memory, storage }: SizeDraft) =>
  `${cpu} ${cpu === '1' ? 'core' : 'cores'}, ${bytes(parseBytes(memory) ?? 0)}, ${bytes(parseBytes(storage) ?? 0)}`

const FIELDS = [
  ['cpu', 'Cores'],
  ['memory', 'Memory'],
  ['storage', 'Storage'],
] as const

export const SizeChoice = ({ size, onChange, problem }: Props) => (
  <>
    <fieldset className={css.presets}>
      <legend className="sr-only">Size</legend>
      {PRESETS.map(preset => (
        <label key={preset.name} className={css.preset}>
          <input
            type="radio"
            name="size"
            value={preset.name}
            checked={same(size, preset.size)}
            onChange={() => onChange(preset.size)}
          />
          <strong>{preset.name}</strong>
          <span className="small muted">{preset.about}</span>
          <span className="small nums">{inWords(preset.size)}</span>
        </label>
      ))}
    </fieldset>
    <div className={css.fields}>
      {FIELDS.map(([field, label]) => (
        <Field key={field} label={label} error={problem(field)}>
          {props => (
            <Input
              {...props}
              value={size[field]}
              onChange={event => onChange({ [field]: event.target.value })}
            />
          )}
        </Field>
      ))}
    </div>
  </>
)
