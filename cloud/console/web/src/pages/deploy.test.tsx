// @vitest-environment jsdom
import { QueryClientProvider } from '@tanstack/react-query'
import { cleanup, render, screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { Tooltip } from 'radix-ui'
import { createMemoryRouter, RouterProvider } from 'react-router'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { answer } from '../../mock/routes'
import { World } from '../../mock/world'
import { queries } from '../api/queries'
import DeployPage from './deploy'

let world: World

/** The mock, behind the browser's own `fetch`. */
const answered = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
  const path = new URL(String(input), 'http://console').pathname.replace('/api/v1', '')
  const body: unknown = typeof init?.body === 'string' ? JSON.parse(init.body) : undefined
  const { status, body: data } = answer(world, init?.method ?? 'GET', path, body)
  return Promise.resolve(new Response(data === undefined ? null : JSON.stringify(data), { status }))
}

beforeEach(() => {
  world = new World()
  queries.clear()
  vi.stubGlobal('fetch', answered)
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe() {}
      unobserve() {}
      disconnect() {}
    },
  )
})

afterEach(() => {
  cleanup()
  vi.unstubAllGlobals()
})

const open = (path = '/w/default/deploy') => {
  const router = createMemoryRouter(
    [
      { path: '/w/:workspace/deploy', Component: DeployPage },
      { path: '/w/:workspace/apps/:name', element: <p>The page of the app</p> },
    ],
    { initialEntries: [path] },
  )
  render(
    <QueryClientProvider client={queries}>
      <Tooltip.Provider>
        <RouterProvider router={router} />
      </Tooltip.Provider>
    </QueryClientProvider>,
  )
  return userEvent.setup()
}

test('deploys, and leads to the app', async () => {
  const user = open()
  await user.type(screen.getByRole('textbox', { name: 'Image' }), 'ghcr.io/acme/web:1')
  expect(screen.getByRole<HTMLInputElement>('textbox', { name: 'Name' }).value).toBe('web')
  await user.click(screen.getByRole('button', { name: 'Deploy' }))
  await screen.findByText('The page of the app')
  expect(world.apps().some(app => app.name === 'web')).toBe(true)
})

test('says what is missing, next to the field', async () => {
  const user = open()
  await user.click(screen.getByRole('button', { name: 'Deploy' }))
  expect(screen.getByText('Say which image to run')).toBeDefined()
  expect(screen.getByRole('textbox', { name: 'Image' }).getAttribute('aria-invalid')).toBe('true')
})

test('a name that is taken is named at once', async () => {
  const user = open()
  await waitFor(() => expect(queries.getQueryData(['apps', 'default'])).toBeDefined())
  await user.type(screen.getByRole('textbox', { name: 'Name' }), 'shop')
  await screen.findByText('“shop” is taken in this workspace')
})

test('what the server refuses stands at its field', async () => {
  const user = open('/w/default/deploy?image=nginx&name=conflict')
  await user.click(screen.getByRole('button', { name: 'Deploy' }))
  await screen.findByText('One more thing to settle')
  expect(screen.getByRole('textbox', { name: 'Name' }).getAttribute('aria-invalid')).toBe('true')
})

test('trouble in the cloud is told whole', async () => {
  const user = open('/w/default/deploy?image=boom&name=web')
  await user.click(screen.getByRole('button', { name: 'Deploy' }))
  await screen.findByText('The cloud could not store the app.')
  expect(screen.getByText(/no space left on device/)).toBeDefined()
})

test('a pasted .env file becomes rows', async () => {
  const user = open('/w/default/deploy?image=nginx')
  await user.click(screen.getByRole('button', { name: 'Add' }))
  await user.click(screen.getByRole('textbox', { name: 'Name of variable 1' }))
  await user.paste('A=1\nB="two words"')
  expect(screen.getByRole<HTMLInputElement>('textbox', { name: 'Value of B' }).value).toBe('two words')
})
