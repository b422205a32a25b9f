/** What the bucket holds, folder by folder, and the ways in and out. */

import { useInfiniteQuery, useMutation } from '@tanstack/react-query'
import { Folder, Trash2, Upload as UploadIcon } from 'lucide-react'
import { useRef, useState, type DragEvent } from 'react'
import { useSearchParams } from 'react-router'
import { buckets, objectsQuery, type Entry } from '../../api/buckets'
import { dropped } from '../../lib/dropped'
import { plural } from '../../lib/units'
import { Button } from '../../ui/button'
import { Empty, Skeleton, Trouble } from '../../ui/bits'
import { Dialog } from '../../ui/dialog'
import { useBucket } from './bucket'
import { FileRow, FolderRow } from './file-row'
import { PathCrumbs } from './path-crumbs'
import { PreviewDialog } from './preview'
import { ShareDialog } from './share'
import { filesChanged, UploadPanel, uploads } from './upload-panel'
import css from './files.module.css'

export default function FilesTab() {
  const bucket = useBucket()
  const [params, setParams] = useSearchParams()
  const prefix = params.get('prefix') ?? ''
  const { data, error, refetch, fetchNextPage, hasNextPage, isFetchingNextPage } = useInfiniteQuery(
    objectsQuery(bucket.workspace, bucket.name, prefix),
  )
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const [shown, setShown] = useState<Entry>()
  const [shared, setShared] = useState<Entry>()
  const [doomed, setDoomed] = useState<string[]>()
  const go = (to: string) => {
    setChosen(new Set())
    setParams(to ? { prefix: to } : {})
  }
  const folders = data ? [...new Set(data.pages.flatMap(page => page.prefixes))] : []
  const files = data ? data.pages.flatMap(page => page.objects) : []
  const keys = [...folders, ...files.map(({ key }) => key)]
  const toggle = (key: string) =>
    setChosen(old => new Set(old.has(key) ? [...old].filter(one => one !== key) : [...old, key]))
  const all = keys.length > 0 && keys.every(key => chosen.has(key))
  const send = (found: { path: string; file: File }[]) =>
    uploads.add(bucket.workspace, bucket.name, prefix, found)
  return (
    <DropZone onFiles={send}>
      <header className={css.tools}>
        <PathCrumbs bucket={bucket.name} prefix={prefix} onGo={go} />
        <span className="grow" />
        {chosen.size > 0 && (
          <Button look="danger" size="s" icon={<Trash2 />} onClick={() => setDoomed([...chosen])}>
            Delete {chosen.size}
          </Button>
        )}
        <UploadButton onFiles={send} />
      </header>
      {error && !data ? (
        <Trouble error={error} title="The files could not be listed" retry={() => void refetch()} />
      ) : !data ? (
        <Skeleton height={160} />
      ) : keys.length === 0 ? (
        <div className={css.hole}>
          <Empty
            picture={<UploadIcon size={40} aria-hidden />}
            title={prefix ? 'Nothing here' : 'The bucket is empty'}
          >
            <p>Drop files or folders here, or choose them with the button above.</p>
          </Empty>
        </div>
      ) : (
        <div className={css.box}>
          <table className={css.table}>
            <thead>
              <tr>
                <th className={css.check}>
                  <input
                    type="checkbox"
                    aria-label="Choose all"
                    checked={all}
                    onChange={() => setChosen(new Set(all ? [] : keys))}
                  />
                </th>
                <th>Name</th>
                <th className={css.size}>Size</th>
                <th className={css.when}>Changed</th>
                <th>
                  <span className="sr-only">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {folders.map(folder => (
                <FolderRow
                  key={folder}
                  name={folder.slice(prefix.length)}
                  chosen={chosen.has(folder)}
                  onChoose={() => toggle(folder)}
                  onOpen={() => go(folder)}
                  onDelete={() => setDoomed([folder])}
                />
              ))}
              {files.map(file => (
                <FileRow
                  key={file.key}
                  bucket={bucket}
                  file={file}
                  name={file.key.slice(prefix.length)}
                  chosen={chosen.has(file.key)}
                  onChoose={() => toggle(file.key)}
                  onOpen={() => setShown(file)}
                  onShare={() => setShared(file)}
                  onDelete={() => setDoomed([file.key])}
                />
              ))}
            </tbody>
          </table>
          {hasNextPage && (
            <footer className={css.more}>
              <Button size="s" busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
                More files
              </Button>
            </footer>
          )}
        </div>
      )}
      <UploadPanel />
      {shown && (
        <PreviewDialog
          bucket={bucket}
          file={shown}
          onShare={() => setShared(shown)}
          onClose={() => setShown(undefined)}
        />
      )}
      {shared && <ShareDialog bucket={bucket} file={shared} onClose={() => setShared(undefined)} />}
      {doomed && (
        <DeleteFiles
          keys={doomed}
          onClose={() => setDoomed(undefined)}
          onDeleted={() => setChosen(new Set())}
        />
      )}
    </DropZone>
  )
}

type Found = { path: string; file: File }[]

const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes('Files')

/** The whole tab takes what is dropped on it. */
const DropZone = ({ onFiles, children }: { onFiles: (found: Found) => void; children: React.ReactNode }) => {
  // Enter and leave come for every element below: the count tells when the pointer is really gone.
  const [depth, setDepth] = useState(0)
  return (
    // Dropping is one way in; the button above the list is the one for keyboards.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section
      className={css.zone}
      aria-label="Files"
      data-over={depth > 0 || undefined}
      onDragEnter={event => {
        if (hasFiles(event)) setDepth(old => old + 1)
      }}
      onDragLeave={event => {
        if (hasFiles(event)) setDepth(old => Math.max(0, old - 1))
      }}
      onDragOver={event => {
        if (hasFiles(event)) event.preventDefault()
      }}
      onDrop={event => {
        if (!hasFiles(event)) return
        event.preventDefault()
        setDepth(0)
        void dropped(event.dataTransfer).then(onFiles)
      }}
    >
      {children}
      {depth > 0 && (
        <p className={css.drop} aria-hidden>
          <UploadIcon size={26} /> Let go to upload
        </p>
      )}
    </section>
  )
}

const UploadButton = ({ onFiles }: { onFiles: (found: Found) => void }) => {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files to upload"
        onChange={event => {
          onFiles([...(event.target.files ?? [])].map(file => ({ path: file.name, file })))
          // The same file can be chosen again.
          event.target.value = ''
        }}
      />
      <Button look="primary" icon={<UploadIcon />} onClick={() => input.current?.click()}>
        Upload
      </Button>
    </>
  )
}

const DeleteFiles = ({
  keys,
  onClose,
  onDeleted,
}: {
  keys: string[]
  onClose: () => void
  onDeleted: () => void
}) => {
  const { workspace, name } = useBucket()
  const [only = ''] = keys
  const folder = keys.some(key => key.endsWith('/'))
  const remove = useMutation({
    mutationFn: () => buckets.remove(workspace, name, keys),
    onSuccess: () => {
      onDeleted()
      onClose()
      filesChanged(workspace, name)
    },
  })
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={
        keys.length === 1
          ? `Delete ${only.split('/').findLast(Boolean)}?`
          : `Delete ${plural(keys.length, 'entry', 'entries')}?`
      }
      description={
        folder
          ? 'Everything in the chosen folders will be gone. This cannot be undone.'
          : 'It will be gone for everybody who has a link to it. This cannot be undone.'
      }
      footer={
        <>
          <Button onClick={onClose}>Keep</Button>
          <Button look="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
            Delete for good
          </Button>
        </>
      }
    >
      {folder && (
        <p className="row muted">
          <Folder size={16} aria-hidden /> {plural(keys.filter(key => key.endsWith('/')).length, 'folder')}
        </p>
      )}
      {remove.error && <Trouble error={remove.error} title="Not everything was deleted" />}
    </Dialog>
  )
}
