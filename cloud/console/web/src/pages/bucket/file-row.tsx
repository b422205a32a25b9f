/** The rows of the file list. */

import {
  Download,
  File,
  FileArchive,
  FileImage,
  FileText,
  Folder,
  Link2,
  MoreHorizontal,
  Trash2,
} from 'lucide-react'
import { contentUrl, type Bucket, type Entry } from '../../api/buckets'
import { kindOf } from '../../lib/file-kinds'
import { age, bytes } from '../../lib/units'
import { IconButton } from '../../ui/button'
import { Menu, MenuItem, MenuLine } from '../../ui/menu'
import css from './files.module.css'

const ICONS = { image: FileImage, text: FileText, pdf: FileText, archive: FileArchive, other: File }

interface RowProps {
  name: string
  chosen: boolean
  onChoose: () => void
  onOpen: () => void
  onDelete: () => void
}

export const FolderRow = ({ name, chosen, onChoose, onOpen, onDelete }: RowProps) => (
  <tr data-chosen={chosen || undefined}>
    <td className={css.check}>
      <input type="checkbox" aria-label={`Choose ${name}`} checked={chosen} onChange={onChoose} />
    </td>
    <td>
      <button type="button" className={css.name} onClick={onOpen}>
        <Folder size={17} aria-hidden className={css.folder} />
        <span className="truncate">{name}</span>
      </button>
    </td>
    <td className={css.size}>—</td>
    <td className={css.when}>—</td>
    <td className={css.menu}>
      <IconButton size="s" label={`Delete ${name}`} icon={<Trash2 />} onClick={onDelete} />
    </td>
  </tr>
)

interface FileProps extends RowProps {
  bucket: Bucket
  file: Entry
  onShare: () => void
}

export const FileRow = ({ bucket, file, name, chosen, onChoose, onOpen, onShare, onDelete }: FileProps) => {
  const Icon = ICONS[kindOf(file.key)]
  const url = contentUrl(bucket.workspace, bucket.name, file.key, 'download')
  return (
    <tr data-chosen={chosen || undefined}>
      <td className={css.check}>
        <input type="checkbox" aria-label={`Choose ${name}`} checked={chosen} onChange={onChoose} />
      </td>
      <td>
        <button type="button" className={css.name} onClick={onOpen}>
          <Icon size={17} aria-hidden />
          <span className="truncate">{name}</span>
        </button>
      </td>
      <td className={`${css.size} nums`}>{bytes(file.sizeBytes)}</td>
      <td
        className={`${css.when} nums muted`}
        title={file.modifiedAt ? new Date(file.modifiedAt).toLocaleString() : undefined}
      >
        {file.modifiedAt && `${age(file.modifiedAt)} ago`}
      </td>
      <td className={css.menu}>
        <Menu trigger={<IconButton size="s" label={`Actions for ${name}`} icon={<MoreHorizontal />} />}>
          <MenuItem icon={<Download />} onSelect={() => location.assign(url)}>
            Download
          </MenuItem>
          <MenuItem icon={<Link2 />} onSelect={onShare}>
            Share a link…
          </MenuItem>
          <MenuLine />
          <MenuItem icon={<Trash2 />} danger onSelect={onDelete}>
            Delete…
          </MenuItem>
        </Menu>
      </td>
    </tr>
  )
}
