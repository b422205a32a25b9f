/** A link to one file that works without keys until it expires. */

import { useMutation } from '@tanstack/react-query'
import { Link2 } from 'lucide-react'
import { useState } from 'react'
import { buckets, type Bucket, type Entry } from '../../api/buckets'
import { Button } from '../../ui/button'
import { Command, Trouble } from '../../ui/bits'
import { Dialog } from '../../ui/dialog'
import { Segments } from '../../ui/field'

const HOUR = 3600
const LENGTHS = [
  { value: String(HOUR), label: '1 hour' },
  { value: String(24 * HOUR), label: '1 day' },
  { value: String(7 * 24 * HOUR), label: '7 days' },
]

interface Props {
  bucket: Bucket
  file: Entry
  onClose: () => void
}

export const ShareDialog = ({ bucket, file, onClose }: Props) => {
  const [length, setLength] = useState(String(24 * HOUR))
  const share = useMutation({
    mutationFn: () => buckets.share(bucket.workspace, bucket.name, file.key, Number(length)),
  })
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title="Share a link"
      description={`Whoever has the link can read ${file.key.split('/').at(-1)} until it expires. It ends earlier when the keys are rotated.`}
      footer={
        <>
          <Button onClick={onClose}>Close</Button>
          <Button look="primary" icon={<Link2 />} busy={share.isPending} onClick={() => share.mutate()}>
            {share.data ? 'Make another' : 'Make a link'}
          </Button>
        </>
      }
    >
      <Segments
        label="How long it works"
        value={length}
        options={LENGTHS}
        onChange={value => {
          share.reset()
          setLength(value)
        }}
      />
      {share.error && <Trouble error={share.error} title="There is no link" />}
      {share.data && (
        <div role="status">
          <Command>{share.data.url}</Command>
          <p className="small muted" style={{ marginTop: 6 }}>
            Works until {new Date(share.data.expiresAt).toLocaleString()}.
          </p>
        </div>
      )}
    </Dialog>
  )
}
