/** What is shown when a page cannot be. */

import { isRouteErrorResponse, Link, useRouteError } from 'react-router'
import { Button } from '../ui/button'
import { Empty, Seal, Trouble } from '../ui/bits'

export const NotFound = () => (
  <Empty picture={<Seal size={56} />} title="Nothing at this address">
    <p>The page you asked for is not part of this console.</p>
    <Button asChild>
      <Link to="/">Back to the apps</Link>
    </Button>
  </Empty>
)

export const RouteTrouble = () => {
  const error = useRouteError()
  if (isRouteErrorResponse(error) && error.status === 404) return <NotFound />
  return (
    <div style={{ padding: 24, maxWidth: 720, margin: '0 auto' }}>
      <Trouble error={error} title="This page could not be shown" retry={() => location.reload()} />
    </div>
  )
}
