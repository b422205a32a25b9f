/** Who may read the bucket, and its end. */

import { useMutation } from '@tanstack/react-query'
import { Trash2 } from 'lucide-react'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { buckets, bucketsQuery, type Bucket } from '../../api/buckets'
import { queries } from '../../api/queries'
import { bytes, plural } from '../../lib/units'
import { Button } from '../../ui/button'
import { Card, CopyButton, Trouble } from '../../ui/bits'
import { Dialog } from '../../ui/dialog'
import { Field, Input } from '../../ui/field'
import { toast } from '../../ui/toast'
import { Setting } from '../app/settings'
import settings from '../app/settings.module.css'
import { PolicyChoice } from '../bucket-policy'
import css from '../buckets.module.css'
import { useBucket } from './bucket'

export default function SettingsTab() {
  const bucket = useBucket()
  const navigate = useNavigate()
  const [deleting, setDeleting] = useState(false)
  return (
    <div className={css.fields}>
      <Access bucket={bucket} />
      <div className={settings.list}>
        <Setting danger title="Delete" text="Removes the bucket and every file in it.">
          <Button look="danger" icon={<Trash2 />} onClick={() => setDeleting(true)}>
            Delete…
          </Button>
        </Setting>
      </div>
      {deleting && (
        <DeleteDialog
          bucket={bucket}
          onClose={() => setDeleting(false)}
          onDeleted={() => void navigate(`/w/${bucket.workspace}/buckets`)}
        />
      )}
    </div>
  )
}

const Access = ({ bucket }: { bucket: Bucket }) => {
  const { workspace, name } = bucket
  const [chosen, setChosen] = useState<Bucket['policy']>()
  const policy = chosen ?? bucket.policy
  const save = useMutation({
    mutationFn: () => buckets.setPolicy(workspace, name, policy),
    onSuccess: changed => {
      queries.setQueryData(bucketsQuery(workspace).queryKey, old =>
        old?.map(other => (other.name === name ? changed : other)),
      )
      setChosen(undefined)
      toast.done(`The access to ${name} is changed`)
    },
  })
  return (
    <Card>
      <PolicyChoice policy={policy} onChange={setChosen} />
      {save.error && <Trouble error={save.error} title="The access was not changed" />}
      {bucket.publicUrl && policy === bucket.policy && (
        <p className="row">
          <span className="truncate mono small">{bucket.publicUrl}</span>
          <CopyButton text={bucket.publicUrl} label="Copy the public address" />
        </p>
      )}
      {policy !== bucket.policy && (
        <footer className={css.buttons}>
          <Button look="quiet" onClick={() => setChosen(undefined)}>
            Leave it
          </Button>
          <Button look="primary" busy={save.isPending} onClick={() => save.mutate()}>
            Change the access
          </Button>
        </footer>
      )}
    </Card>
  )
}

const DeleteDialog = ({
  bucket,
  onClose,
  onDeleted,
}: {
  bucket: Bucket
  onClose: () => void
  onDeleted: () => void
}) => {
  const { workspace, name } = bucket
  const [typed, setTyped] = useState('')
  const blocked = typed === name ? undefined : 'Type the name of the bucket first'
  const remove = useMutation({
    mutationFn: () => buckets.delete(workspace, name),
    onSuccess: () => {
      queries.setQueryData(bucketsQuery(workspace).queryKey, old => old?.filter(other => other.name !== name))
      toast.done(`${name} is deleted`)
      onDeleted()
    },
  })
  return (
    <Dialog
      open
      onOpenChange={onClose}
      title={`Delete ${name}?`}
      description={`The bucket and its ${plural(bucket.objects, 'file')} (${bytes(bucket.sizeBytes)}) will be gone. This cannot be undone.`}
    >
      <form
        className={css.fields}
        onSubmit={event => {
          event.preventDefault()
          if (!blocked) remove.mutate()
        }}
      >
        {remove.error && <Trouble error={remove.error} title="The bucket was not deleted" />}
        <Field label={`Type “${name}” to confirm`}>
          {props => <Input {...props} mono value={typed} onChange={event => setTyped(event.target.value)} />}
        </Field>
        <footer className={css.buttons}>
          <Button onClick={onClose}>Keep it</Button>
          <Button look="danger" type="submit" blocked={blocked} busy={remove.isPending}>
            Delete for good
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
