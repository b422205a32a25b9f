import { cleanup, render, screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { createMemoryRouter, Link, RouterProvider } from 'react-router'
import { afterEach, expect, test } from 'vitest'
import { useUrlText } from './url-text'

afterEach(cleanup)

const Field = () => {
  const [text, setText] = useUrlText('q')
  return (
    <>
      <input aria-label="Search" value={text} onChange={event => setText(event.target.value)} />
      <Link to="/">Everything</Link>
    </>
  )
}

const open = (path: string) => {
  const router = createMemoryRouter([{ path: '/', Component: Field }], { initialEntries: [path] })
  render(<RouterProvider router={router} />)
  return { router, user: userEvent.setup(), field: screen.getByRole<HTMLInputElement>('textbox') }
}

test('no letter is lost, and the address follows', async () => {
  const { router, user, field } = open('/')
  await user.type(field, 'shop-db')
  expect(field.value).toBe('shop-db')
  await waitFor(() => expect(router.state.location.search).toBe('?q=shop-db'))
  await user.type(field, '!')
  expect(field.value).toBe('shop-db!')
})

test('the address is taken over when it changes from elsewhere', async () => {
  const { user, field } = open('/?q=shop')
  expect(field.value).toBe('shop')
  await user.click(screen.getByRole('link', { name: 'Everything' }))
  await waitFor(() => expect(field.value).toBe(''))
})
