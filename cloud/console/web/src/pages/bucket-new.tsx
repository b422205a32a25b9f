/** The dialog of a new bucket. */

import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { buckets, bucketsQuery, type Policy } from '../api/buckets'
import { ApiError } from '../api/client'
import { queries } from '../api/queries'
import { bucketNameProblem } from '../form/problems'
import { Button } from '../ui/button'
import { Trouble } from '../ui/bits'
import { Dialog } from '../ui/dialog'
import { Field, Input } from '../ui/field'
import { toast } from '../ui/toast'
import { PolicyChoice } from './bucket-policy'
import css from './buckets.module.css'

export const CreateBucket = ({ workspace, onClose }: { workspace: string; onClose: () => void }) => {
  const navigate = useNavigate()
  const [name, setName] = useState('')
  const [policy, setPolicy] = useState<Policy>('private')
  const [asked, setAsked] = useState(false)
  const wrong = bucketNameProblem(name)
  const create = useMutation({
    mutationFn: () => buckets.create(workspace, { name, policy }),
    onSuccess: made => {
      queries.setQueryData(bucketsQuery(workspace).queryKey, old => [
        ...(old ?? []).filter(other => other.name !== made.name),
        made,
      ])
      toast.done(`${made.name} is there`)
      void navigate(`/w/${workspace}/buckets/${made.name}`)
    },
  })
  const refused = create.error instanceof ApiError ? create.error.fields : []
  return (
    <Dialog open onOpenChange={onClose} title="Create a bucket">
      <form
        className={css.fields}
        noValidate
        onSubmit={event => {
          event.preventDefault()
          setAsked(true)
          if (!wrong) create.mutate()
        }}
      >
        {create.error && refused.length === 0 && (
          <Trouble error={create.error} title="The bucket was not created" />
        )}
        <Field
          label="Name"
          help="S3 clients see it with the workspace’s name before it."
          error={(asked ? wrong : undefined) ?? refused.find(({ field }) => field === 'name')?.message}
        >
          {props => (
            <Input
              {...props}
              mono
              placeholder="photos"
              value={name}
              onChange={event => {
                create.reset()
                setName(event.target.value)
              }}
            />
          )}
        </Field>
        <PolicyChoice policy={policy} onChange={setPolicy} />
        <footer className={css.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" busy={create.isPending}>
            Create
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
