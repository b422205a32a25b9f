/** The frame around every page: where one is, how full the machine is, and the page itself. */

import { useQuery } from '@tanstack/react-query'
import { Menu as MenuIcon } from 'lucide-react'
import { Dialog } from 'radix-ui'
import { useState } from 'react'
import {
  Link,
  Navigate,
  Outlet,
  ScrollRestoration,
  useLocation,
  useNavigate,
  useNavigation,
  useParams,
} from 'react-router'
import { ApiError } from '../api/client'
import { useLive } from '../api/live'
import { sessionQuery } from '../api/queries'
import { IconButton } from '../ui/button'
import { Seal } from '../ui/bits'
import { useKeys } from './keys'
import { Shortcuts } from './shortcuts'
import { Sidebar } from './sidebar'
import css from './shell.module.css'

export const Shell = () => {
  const { workspace = 'default' } = useParams()
  const live = useLive(workspace)
  const { error } = useQuery(sessionQuery())
  const navigate = useNavigate()
  const navigation = useNavigation()
  const { pathname } = useLocation()
  const [help, setHelp] = useState(false)
  const deploy = () => void navigate(`/w/${workspace}/deploy`)
  useKeys({
    c: deploy,
    n: deploy,
    '?': () => setHelp(true),
    a: () => void navigate(`/w/${workspace}`),
    d: () => void navigate(`/w/${workspace}/databases`),
    b: () => void navigate(`/w/${workspace}/buckets`),
  })
  // The session ended while the page was open, or in another tab.
  if (error instanceof ApiError && error.status === 401) return <Navigate to="/logged-out" replace />
  return (
    <div className={css.shell}>
      <a className={css.skip} href="#page">
        Skip to the page
      </a>
      <aside className={css.side} aria-label="Sidebar">
        <Sidebar workspace={workspace} live={live} onHelp={() => setHelp(true)} />
      </aside>
      <header className={css.top}>
        <Link to={`/w/${workspace}`} className={css.brand}>
          <Seal size={26} />
          <span>Sealos</span>
        </Link>
        <Drawer key={pathname} workspace={workspace} live={live} onHelp={() => setHelp(true)} />
      </header>
      <main className={css.page} id="page" tabIndex={-1}>
        {navigation.state === 'loading' && (
          <div className={css.loading} role="progressbar" aria-label="Loading" />
        )}
        <Outlet />
      </main>
      <ScrollRestoration />
      <Shortcuts open={help} onOpenChange={setHelp} />
    </div>
  )
}

/** The sidebar of small screens. A new page closes it by its key. */
const Drawer = (props: Parameters<typeof Sidebar>[0]) => {
  const [open, setOpen] = useState(false)
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger asChild>
        <IconButton label="Menu" icon={<MenuIcon />} />
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Overlay className={css.veil} />
        <Dialog.Content className={css.drawer} aria-describedby={undefined}>
          <Dialog.Title className="sr-only">Menu</Dialog.Title>
          <Sidebar {...props} />
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
