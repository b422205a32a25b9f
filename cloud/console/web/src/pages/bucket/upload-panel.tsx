/** How far the uploads are. */

import { Check, RotateCw, TriangleAlert, X } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { bucketsQuery, contentUrl, upload } from '../../api/buckets'
import { ApiError } from '../../api/client'
import { queries } from '../../api/queries'
import { Uploads, type Upload } from '../../lib/uploads'
import { bytes, plural } from '../../lib/units'
import { IconButton } from '../../ui/button'
import css from './upload-panel.module.css'

/** Reads the lists again that show the bucket's files. */
export const filesChanged = (workspace: string, bucket: string): void => {
  void queries.invalidateQueries({ queryKey: ['objects', workspace, bucket] })
  void queries.invalidateQueries({ queryKey: bucketsQuery(workspace).queryKey })
}

/** All uploads of this page, whatever tab is looked at. */
export const uploads = new Uploads(
  ({ workspace, bucket, key }, file, progress, signal) =>
    upload(contentUrl(workspace, bucket, key, 'download'), file, progress, signal),
  ({ workspace, bucket }) => filesChanged(workspace, bucket),
)

const headline = (all: readonly Upload[]): string => {
  const open = all.filter(({ state }) => state === 'waiting' || state === 'sending').length
  const failed = all.filter(({ state }) => state === 'failed').length
  if (open > 0) return `Uploading ${plural(open, 'file')}`
  return failed > 0
    ? `${plural(failed, 'file')} could not be uploaded`
    : `${plural(all.length, 'file')} uploaded`
}

export const UploadPanel = () => {
  const all = useSyncExternalStore(uploads.subscribe, uploads.view)
  if (all.length === 0) return null
  const open = all.some(({ state }) => state === 'waiting' || state === 'sending')
  return (
    <section className={css.panel} aria-label="Uploads">
      <header className={css.head}>
        <h3 className="grow" role="status">
          {headline(all)}
        </h3>
        <IconButton
          size="s"
          label={open ? 'Stop the uploads' : 'Put away'}
          icon={<X />}
          onClick={() => uploads.clear()}
        />
      </header>
      <ul className={css.list}>
        {all.map(one => (
          <Row key={one.id} upload={one} />
        ))}
      </ul>
    </section>
  )
}

const why = (error: Error | undefined): string =>
  error instanceof ApiError ? [error.message, error.detail].filter(Boolean).join(' — ') : String(error)

const Row = ({ upload: { id, key, size, sent, state, error } }: { upload: Upload }) => (
  <li className={css.row} data-state={state}>
    <div className={css.line}>
      <span className="grow truncate" title={key}>
        {key}
      </span>
      {state === 'done' ? (
        <Check size={15} aria-label="Done" className={css.done} />
      ) : state === 'failed' ? (
        <>
          <TriangleAlert size={15} aria-hidden />
          <IconButton
            size="s"
            label={`Try ${key} again`}
            icon={<RotateCw />}
            onClick={() => uploads.retry(id)}
          />
        </>
      ) : (
        <span className="small faint nums">
          {bytes(sent)} of {bytes(size)}
        </span>
      )}
    </div>
    {state === 'failed' ? (
      <p className="small">{why(error)}</p>
    ) : (
      state !== 'done' && (
        <progress className={css.bar} max={Math.max(size, 1)} value={sent} aria-label={`Upload of ${key}`} />
      )
    )}
  </li>
)
