/** One bucket: its head, its tabs, and what the chosen tab shows. */

import { useQuery } from '@tanstack/react-query'
import { PaintBucket } from 'lucide-react'
import { Link, NavLink, Outlet, useNavigate, useOutletContext, useParams } from 'react-router'
import { bucketsQuery, type Bucket } from '../../api/buckets'
import { bytes, plural } from '../../lib/units'
import { useKeys } from '../../shell/keys'
import { Button } from '../../ui/button'
import { Crumbs, Empty, Plain, Skeleton, Trouble } from '../../ui/bits'
import app from '../app/app.module.css'
import shared from '../app/overview.module.css'
import { PolicyBadge } from '../buckets'

const TABS = [
  ['', 'Files'],
  ['keys', 'Keys'],
  ['usage', 'Usage'],
  ['settings', 'Settings'],
] as const

/** The bucket of the page, for its tabs. */
export const useBucket = (): Bucket => useOutletContext<Bucket>()

export default function BucketPage() {
  const { workspace = 'default', name = '' } = useParams()
  const { data, error, refetch } = useQuery(bucketsQuery(workspace))
  const navigate = useNavigate()
  const base = `/w/${workspace}/buckets/${name}`
  useKeys(
    Object.fromEntries(TABS.map(([path], i) => [String(i + 1), () => void navigate(`${base}/${path}`)])),
  )
  const bucket = data?.find(other => other.name === name)
  if (error && !data)
    return (
      <div className={app.page}>
        <Trouble error={error} title="The bucket could not be read" retry={() => void refetch()} />
      </div>
    )
  if (data && !bucket)
    return (
      <Empty picture={<PaintBucket size={52} aria-hidden />} title={`There is no bucket “${name}”`}>
        <p>It may have been deleted, or its name may be spelled differently.</p>
        <Button asChild>
          <Link to={`/w/${workspace}/buckets`}>All buckets</Link>
        </Button>
      </Empty>
    )
  return (
    <div className={app.page}>
      <title>{`${name} · Sealos`}</title>
      <header className={app.header}>
        <Crumbs to={`/w/${workspace}/buckets`} parent="Buckets" here={name} />
        <div className={app.title}>
          <h1 className="truncate">{name}</h1>
          {bucket && <PolicyBadge policy={bucket.policy} />}
          {bucket && (
            <span className="muted nums">
              {plural(bucket.objects, 'file')}, {bytes(bucket.sizeBytes)}
            </span>
          )}
        </div>
      </header>
      <nav className={app.tabs} aria-label="Parts of the bucket">
        {TABS.map(([path, label]) => (
          <NavLink key={path} to={path ? `${base}/${path}` : base} end className={app.tab ?? ''}>
            {label}
          </NavLink>
        ))}
      </nav>
      {bucket?.message && (
        <section className={shared.why} data-phase={bucket.phase} role="status">
          <p>
            <Plain text={bucket.message} />
          </p>
        </section>
      )}
      {bucket ? <Outlet context={bucket} /> : <Skeleton height={180} />}
    </div>
  )
}
