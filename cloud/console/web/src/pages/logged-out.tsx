/** How to get in. */

import { Button } from '../ui/button'
import { Command, Seal } from '../ui/bits'
import css from './logged-out.module.css'

export default function LoggedOutPage() {
  const refused = new URLSearchParams(location.search).get('why') === 'link'
  return (
    <main className={css.page}>
      <title>Log in · Sealos</title>
      <Seal size={64} />
      <h1>{refused ? 'This link has been used up' : 'You are logged out'}</h1>
      <p className="muted">
        {refused
          ? 'A login link works once, within ten minutes. Make a new one on the machine that runs the cloud:'
          : 'Make a login link on the machine that runs the cloud, and open it here:'}
      </p>
      <div className={css.command}>
        <Command>sealos console</Command>
      </div>
      <Button asChild look="quiet">
        <a href="/">I am logged in now</a>
      </Button>
    </main>
  )
}
