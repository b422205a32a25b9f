/** A look at a file without taking it home. */

import { useMutation, useQuery } from '@tanstack/react-query'
import { Download, ExternalLink, FileQuestion, Link2 } from 'lucide-react'
import { buckets, contentUrl, type Bucket, type Entry } from '../../api/buckets'
import { toError } from '../../api/client'
import { kindOf } from '../../lib/file-kinds'
import { bytes } from '../../lib/units'
import { Button } from '../../ui/button'
import { Empty, Skeleton, Trouble } from '../../ui/bits'
import { Dialog } from '../../ui/dialog'
import { toast } from '../../ui/toast'
import css from './preview.module.css'

interface Props {
  bucket: Bucket
  file: Entry
  onShare: () => void
  onClose: () => void
}

const MOST_IMAGE = 24 * 1024 ** 2

export const PreviewDialog = ({ bucket, file, onShare, onClose }: Props) => {
  const name = file.key.split('/').at(-1) ?? file.key
  return (
    <Dialog
      open
      wide
      onOpenChange={onClose}
      title={name}
      footer={
        <>
          <Button look="quiet" icon={<Link2 />} onClick={onShare}>
            Share a link
          </Button>
          <Button asChild>
            <a href={contentUrl(bucket.workspace, bucket.name, file.key, 'download')} download={name}>
              <Download aria-hidden />
              Download
            </a>
          </Button>
        </>
      }
    >
      <p className="small muted nums">
        {bytes(file.sizeBytes)}
        {file.modifiedAt && `, changed ${new Date(file.modifiedAt).toLocaleString()}`}
      </p>
      <Content bucket={bucket} file={file} />
    </Dialog>
  )
}

const Content = ({ bucket, file }: { bucket: Bucket; file: Entry }) => {
  const kind = kindOf(file.key)
  if (kind === 'image' && file.sizeBytes <= MOST_IMAGE)
    return (
      <div className={css.picture}>
        <img src={contentUrl(bucket.workspace, bucket.name, file.key, 'inline')} alt={file.key} />
      </div>
    )
  if (kind === 'text') return <Text bucket={bucket} file={file} />
  if (kind === 'pdf') return <Pdf bucket={bucket} file={file} />
  return (
    <Empty picture={<FileQuestion size={40} aria-hidden />} title="No preview">
      <p>Files of this kind or size can be downloaded or shared, not shown.</p>
    </Empty>
  )
}

const MOST_TEXT = 128 * 1024

const Text = ({ bucket, file }: { bucket: Bucket; file: Entry }) => {
  const { data, error } = useQuery({
    queryKey: ['text', bucket.workspace, bucket.name, file.key, file.modifiedAt],
    queryFn: async ({ signal }) => {
      const url = contentUrl(bucket.workspace, bucket.name, file.key, 'inline')
      const range = file.sizeBytes > MOST_TEXT ? { Range: `bytes=0-${MOST_TEXT - 1}` } : undefined
      const response = await fetch(url, { signal, ...(range ? { headers: range } : {}) })
      if (!response.ok) throw await toError(response)
      return response.text()
    },
    staleTime: Infinity,
  })
  if (error) return <Trouble error={error} title="The file could not be read" />
  if (data === undefined) return <Skeleton height={160} />
  return (
    <>
      <pre className={css.text} tabIndex={0} aria-label={`Content of ${file.key}`}>
        {data}
      </pre>
      {file.sizeBytes > MOST_TEXT && (
        <p className="small muted">The first {bytes(MOST_TEXT)}. The download has the rest.</p>
      )}
    </>
  )
}

/** What is opened in another tab comes from the store's own host, so that it can do nothing here. */
const Pdf = ({ bucket, file }: { bucket: Bucket; file: Entry }) => {
  const open = useMutation({
    mutationFn: () => buckets.share(bucket.workspace, bucket.name, file.key, 300),
    onSuccess: ({ url }) => window.open(url, '_blank', 'noreferrer'),
    onError: error => toast.trouble('Could not open the file', error),
  })
  return (
    <Empty picture={<FileQuestion size={40} aria-hidden />} title="A PDF document">
      <Button icon={<ExternalLink />} busy={open.isPending} onClick={() => open.mutate()}>
        Open in a new tab
      </Button>
    </Empty>
  )
}
