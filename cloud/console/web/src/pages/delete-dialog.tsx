/** Asks for the app's name before it is gone for good. */

import { useState } from 'react'
import type { App } from '../api/types'
import { useDelete } from '../lib/actions'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Field, Input } from '../ui/field'

interface Props {
  app: App
  open: boolean
  onOpenChange: (open: boolean) => void
  onDeleted: () => void
}

export const DeleteDialog = ({ app, open, onOpenChange, onDeleted }: Props) => {
  const [typed, setTyped] = useState('')
  const remove = useDelete(app, onDeleted)
  const blocked = typed === app.name ? undefined : 'Type the name of the app first'
  const storage = app.kind === 'StatefulSet' ? ', and so will all data in its storage' : ''
  return (
    <Dialog
      open={open}
      onOpenChange={next => {
        setTyped('')
        onOpenChange(next)
      }}
      title={`Delete ${app.name}?`}
      description={`The app, its addresses and its settings will be gone${storage}. This cannot be undone.`}
    >
      <form
        onSubmit={event => {
          event.preventDefault()
          if (!blocked) remove.mutate()
        }}
      >
        <Field label={`Type “${app.name}” to confirm`}>
          {props => <Input {...props} mono value={typed} onChange={event => setTyped(event.target.value)} />}
        </Field>
        <footer className="row" style={{ justifyContent: 'flex-end', marginTop: 18 }}>
          <Button onClick={() => onOpenChange(false)}>Keep it</Button>
          <Button look="danger" type="submit" blocked={blocked} busy={remove.isPending}>
            Delete for good
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
