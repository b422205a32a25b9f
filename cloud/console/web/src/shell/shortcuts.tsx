/** The list behind `?`. */

import { Fragment } from 'react'
import { Kbd } from '../ui/bits'
import { Dialog } from '../ui/dialog'
import css from './shortcuts.module.css'

const KEYS: [keys: string[], what: string][] = [
  [['/'], 'Search'],
  [['C', 'N'], 'Deploy an app'],
  [['A'], 'All apps'],
  [['D'], 'All databases'],
  [['B'], 'All buckets'],
  [['1', '9'], 'Tabs of what is open'],
  [['?'], 'This list'],
]

export const Shortcuts = ({
  open,
  onOpenChange,
}: {
  open: boolean
  onOpenChange: (open: boolean) => void
}) => (
  <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard shortcuts">
    <dl className={css.list}>
      {KEYS.map(([keys, what]) => (
        <div key={what}>
          <dt>{what}</dt>
          <dd>
            {keys.map((key, i) => (
              <Fragment key={key}>
                {i > 0 && <span className="faint small">{key === '9' ? 'to' : 'or'}</span>}
                <Kbd>{key}</Kbd>
              </Fragment>
            ))}
          </dd>
        </div>
      ))}
    </dl>
  </Dialog>
)
