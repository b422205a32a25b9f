/** The keys of the workspace, and clients configured with them. */

import { useMutation, useQuery } from '@tanstack/react-query'
import { Eye, EyeOff, KeyRound } from 'lucide-react'
import { useState } from 'react'
import { buckets, keysQuery, type Keys } from '../../api/buckets'
import { queries } from '../../api/queries'
import { CLIENTS, snippet, type Client } from '../../lib/s3-clients'
import { Button, IconButton } from '../../ui/button'
import { Card, CopyButton, Skeleton, Trouble } from '../../ui/bits'
import { Dialog } from '../../ui/dialog'
import { Segments } from '../../ui/field'
import { toast } from '../../ui/toast'
import rows from '../database/overview.module.css'
import { useBucket } from './bucket'
import css from './keys.module.css'

export default function KeysTab() {
  const { workspace, realName } = useBucket()
  const { data, error, refetch } = useQuery(keysQuery(workspace))
  const [shown, setShown] = useState(false)
  if (error && !data)
    return <Trouble error={error} title="The keys could not be read" retry={() => void refetch()} />
  if (!data) return <Skeleton height={240} />
  return (
    <div className={css.page}>
      <KeyCard keys={data} shown={shown} onShow={setShown} realName={realName} workspace={workspace} />
      <Snippets keys={data} shown={shown} realName={realName} />
    </div>
  )
}

const HIDDEN = '••••••••••••••••'

const Line = ({ name, value }: { name: string; value: string }) => (
  <div>
    <dt>{name}</dt>
    <dd>
      <span className="grow truncate mono" title={value}>
        {value}
      </span>
      <CopyButton text={value} label={`Copy: ${name.toLowerCase()}`} />
    </dd>
  </div>
)

interface KeyProps {
  keys: Keys
  shown: boolean
  onShow: (shown: boolean) => void
  realName: string
  workspace: string
}

const KeyCard = ({ keys, shown, onShow, realName, workspace }: KeyProps) => {
  const [rotating, setRotating] = useState(false)
  const rotate = useMutation({
    mutationFn: () => buckets.rotate(workspace),
    onSuccess: fresh => {
      queries.setQueryData(keysQuery(workspace).queryKey, fresh)
      setRotating(false)
      toast.done('The secret key is a new one', 'The old one has stopped working.')
    },
    onError: error => toast.trouble('Could not rotate the keys', error),
  })
  const lines: [string, string][] = [
    ['Bucket', realName],
    ['Inside', keys.internal],
    ['Outside', keys.external],
    ['Region', keys.region],
    ['Secret', keys.secret],
  ]
  return (
    <Card
      title="Keys"
      aside={
        <Button size="s" icon={<KeyRound />} onClick={() => setRotating(true)}>
          Rotate…
        </Button>
      }
    >
      <dl className={rows.rows}>
        <Line name="Access key" value={keys.accessKey} />
        <div>
          <dt>Secret key</dt>
          <dd>
            <span className="grow truncate mono">{shown ? keys.secretKey : HIDDEN}</span>
            <IconButton
              size="s"
              label={shown ? 'Hide the secret key' : 'Show the secret key'}
              icon={shown ? <EyeOff /> : <Eye />}
              onClick={() => onShow(!shown)}
            />
            <CopyButton text={keys.secretKey} label="Copy the secret key" />
          </dd>
        </div>
        {lines.map(([name, value]) => (
          <Line key={name} name={name} value={value} />
        ))}
      </dl>
      <Dialog
        open={rotating}
        onOpenChange={setRotating}
        title="Rotate the keys?"
        description="The keys are those of the whole workspace. The old ones stop working at once, and so do links that were shared with them. Apps that read the Secret need a restart."
        footer={
          <>
            <Button onClick={() => setRotating(false)}>Keep them</Button>
            <Button look="primary" busy={rotate.isPending} onClick={() => rotate.mutate()}>
              Rotate
            </Button>
          </>
        }
      />
    </Card>
  )
}

const Snippets = ({ keys, shown, realName }: { keys: Keys; shown: boolean; realName: string }) => {
  const [client, setClient] = useState<Client>('rclone')
  const text = snippet(client, keys, realName)
  return (
    <Card title="Use it from" aside={<CopyButton text={text} label="Copy the configuration" />}>
      <Segments label="Client" value={client} options={CLIENTS} onChange={setClient} />
      <pre className={css.code} tabIndex={0} aria-label="Configuration">
        {shown ? text : text.replaceAll(keys.secretKey, HIDDEN)}
      </pre>
      <p className="small muted">The copy button copies the secret key too.</p>
    </Card>
  )
}
