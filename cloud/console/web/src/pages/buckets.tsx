/** Every bucket of the workspace: how much it holds, and who may read it. */

import { useQuery } from '@tanstack/react-query'
import { Globe, Lock, PaintBucket, Plus, TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { bucketsQuery, type Bucket, type Policy } from '../api/buckets'
import { age, bytes, plural } from '../lib/units'
import { Button } from '../ui/button'
import { Command, Empty, Skeleton, Trouble } from '../ui/bits'
import apps from './apps.module.css'
import { CreateBucket } from './bucket-new'
import css from './buckets.module.css'

const POLICIES: Record<Policy, string> = {
  private: 'Private',
  publicRead: 'Public to read',
  publicReadwrite: 'Public to write',
}

export const PolicyBadge = ({ policy }: { policy: Policy }) => (
  <span className={css.policy} data-policy={policy}>
    {policy === 'private' ? (
      <Lock size={13} aria-hidden />
    ) : policy === 'publicRead' ? (
      <Globe size={13} aria-hidden />
    ) : (
      <TriangleAlert size={13} aria-hidden />
    )}
    {POLICIES[policy]}
  </span>
)

export default function BucketsPage() {
  const { workspace = 'default' } = useParams()
  const { data, error, refetch } = useQuery(bucketsQuery(workspace))
  const [creating, setCreating] = useState(false)
  const total = data?.reduce((sum, bucket) => sum + bucket.sizeBytes, 0) ?? 0
  const create = (
    <Button look="primary" icon={<Plus />} onClick={() => setCreating(true)}>
      Create a bucket
    </Button>
  )
  return (
    <div className={apps.page}>
      <title>Buckets · Sealos</title>
      <header className={apps.header}>
        <div className="grow">
          <h1>Buckets</h1>
          <p className="muted" role="status">
            {data
              ? data.length > 0
                ? `${plural(data.length, 'bucket')}, ${bytes(total)}`
                : 'None yet'
              : '\u00A0'}
          </p>
        </div>
        {data?.length !== 0 && create}
      </header>
      {error && !data ? (
        <Trouble error={error} title="The buckets could not be listed" retry={() => void refetch()} />
      ) : !data ? (
        <div className={apps.table} role="status" aria-label="Loading the buckets">
          {[0, 1].map(i => (
            <div key={i} className={apps.ghost}>
              <Skeleton width={22} height={22} />
              <Skeleton width={`${24 - i * 5}%`} />
              <span className="grow" />
              <Skeleton width={84} />
            </div>
          ))}
        </div>
      ) : data.length === 0 ? (
        <Empty picture={<PaintBucket size={52} aria-hidden />} title="No buckets yet">
          <p>
            A bucket keeps files of any size and gives them to any S3 client: pictures, backups, exports,
            whole websites.
          </p>
          {create}
          <p className="small faint">or one line in an app’s sealos.yaml</p>
          <Command>bucket: photos</Command>
        </Empty>
      ) : (
        <div className={`${apps.table} ${css.table}`} role="table" aria-label="Buckets">
          <div className={apps.head} role="row">
            {['Bucket', 'Access', 'Files', 'Size', 'Age'].map(title => (
              <span key={title} role="columnheader">
                {title}
              </span>
            ))}
          </div>
          {data.map(bucket => (
            <Row key={bucket.name} bucket={bucket} />
          ))}
        </div>
      )}
      {creating && <CreateBucket workspace={workspace} onClose={() => setCreating(false)} />}
    </div>
  )
}

const Row = ({ bucket }: { bucket: Bucket }) => (
  <div className={css.row} role="row">
    <div className={css.name} role="cell">
      <PaintBucket size={20} aria-hidden />
      <div className="grow">
        <Link to={`/w/${bucket.workspace}/buckets/${bucket.name}`}>{bucket.name}</Link>
        {bucket.message && (
          <p className={`small truncate ${css.why}`} data-phase={bucket.phase} title={bucket.message}>
            {bucket.message.replaceAll('`', '')}
          </p>
        )}
      </div>
    </div>
    <div className={css.access} role="cell">
      <PolicyBadge policy={bucket.policy} />
    </div>
    <div className={`${css.files} nums`} role="cell">
      {bucket.objects.toLocaleString()}
    </div>
    <div className={`${css.size} nums`} role="cell">
      {bytes(bucket.sizeBytes)}
    </div>
    <div className={`${css.age} faint small nums`} role="cell">
      {bucket.createdAt && age(bucket.createdAt)}
    </div>
  </div>
)
