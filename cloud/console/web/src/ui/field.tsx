/** A labelled input with its help and, when something is wrong, what to do about it. */

import { Slider as RadixSlider, Switch as RadixSwitch } from 'radix-ui'
import { useId, type ComponentProps, type ReactNode } from 'react'
import css from './field.module.css'

interface FieldProps {
  label: ReactNode
  /** For rows whose heading already says it. */
  hideLabel?: boolean
  help?: ReactNode
  error?: string | undefined
  children: (props: {
    id: string
    'aria-invalid': boolean
    'aria-describedby': string | undefined
  }) => ReactNode
}

export const Field = ({ label, hideLabel, help, error, children }: FieldProps) => {
  const id = useId()
  const note = error ?? help
  return (
    <div className={css.field}>
      <label className={hideLabel ? 'sr-only' : css.label} htmlFor={id}>
        {label}
      </label>
      {children({
        id,
        'aria-invalid': error !== undefined,
        'aria-describedby': note ? `${id}-note` : undefined,
      })}
      {note && (
        <p id={`${id}-note`} className={error ? css.error : css.help} role={error ? 'alert' : undefined}>
          {note}
        </p>
      )}
    </div>
  )
}

export const Input = ({ mono, className, ...rest }: ComponentProps<'input'> & { mono?: boolean }) => (
  <input
    autoComplete="off"
    autoCapitalize="none"
    spellCheck={false}
    {...rest}
    className={[css.input, mono && 'mono', className].filter(Boolean).join(' ')}
  />
)

export const TextArea = ({ className, ...rest }: ComponentProps<'textarea'>) => (
  <textarea
    autoComplete="off"
    spellCheck={false}
    {...rest}
    className={[css.input, css.area, 'mono', className].filter(Boolean).join(' ')}
  />
)

export const Select = ({ className, ...rest }: ComponentProps<'select'>) => (
  <select {...rest} className={[css.input, css.select, className].filter(Boolean).join(' ')} />
)

interface SwitchProps {
  label: string
  checked: boolean
  onChange: (checked: boolean) => void
  blocked?: string | undefined
}

export const Switch = ({ label, checked, onChange, blocked }: SwitchProps) => (
  <label className={css.switchRow} title={blocked}>
    <RadixSwitch.Root
      className={css.switch}
      checked={checked}
      onCheckedChange={onChange}
      disabled={blocked !== undefined}
    >
      <RadixSwitch.Thumb className={css.thumb} />
    </RadixSwitch.Root>
    {label}
  </label>
)

interface StepsProps {
  label: string
  steps: number[]
  /** Undefined while what was typed is no number. */
  value: number | undefined
  format: (value: number) => string
  onChange: (value: number) => void
}

/** A slider over given sizes; a value between two of them stands at the nearer one. */
export const Steps = ({ label, steps, value, format, onChange }: StepsProps) => {
  const nearest = (target: number) =>
    steps.reduce(
      (best, step, i) => (Math.abs(step - target) < Math.abs((steps[best] ?? 0) - target) ? i : best),
      0,
    )
  const at = value === undefined ? 0 : nearest(value)
  return (
    <div className={css.steps}>
      <RadixSlider.Root
        className={css.slider}
        min={0}
        max={steps.length - 1}
        value={[at]}
        onValueChange={([i = 0]) => onChange(steps[i] ?? 0)}
      >
        <RadixSlider.Track className={css.track}>
          <RadixSlider.Range className={css.range} />
        </RadixSlider.Track>
        <RadixSlider.Thumb className={css.knob} aria-label={label} aria-valuetext={format(steps[at] ?? 0)} />
      </RadixSlider.Root>
      <ol className={css.ticks} aria-hidden>
        {steps.map((step, i) => (
          <li key={step} data-on={i <= at || undefined} data-at={step === value || undefined}>
            <button type="button" tabIndex={-1} onClick={() => onChange(step)}>
              {format(step)}
            </button>
          </li>
        ))}
      </ol>
    </div>
  )
}

interface SegmentsProps<T extends string> {
  label: string
  value: T
  options: { value: T; label: ReactNode }[]
  onChange: (value: T) => void
}

/** One of a few, all in sight. */
export const Segments = <T extends string>({ label, value, options, onChange }: SegmentsProps<T>) => {
  const name = useId()
  return (
    <fieldset className={css.segments}>
      <legend className="sr-only">{label}</legend>
      {options.map(option => (
        <label key={option.value}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  )
}
