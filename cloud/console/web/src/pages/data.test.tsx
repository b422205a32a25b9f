// @vitest-environment jsdom
import { QueryClientProvider } from '@tanstack/react-query'
import { cleanup, render, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { Tooltip } from 'radix-ui'
import { createMemoryRouter, RouterProvider } from 'react-router'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { answer } from '../../mock/routes'
import { World } from '../../mock/world'
import { queries } from '../api/queries'
import BucketPage from './bucket/bucket'
import FilesTab from './bucket/files'
import BucketsPage from './buckets'
import NewDatabasePage from './database-new'
import DatabasePage from './database/database'
import ParametersTab from './database/parameters'
import QueryTab from './database/query'
import SettingsTab from './database/settings'

let world: World

/** The mock, behind the browser's own `fetch`. */
const answered = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
  const url = new URL(String(input), 'http://console')
  const path = `${url.pathname.replace('/api/v1', '')}${url.search}`
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

const open = (path: string) => {
  const router = createMemoryRouter(
    [
      { path: '/w/:workspace/databases', element: <p>All databases</p> },
      { path: '/w/:workspace/databases/new', Component: NewDatabasePage },
      {
        path: '/w/:workspace/databases/:name',
        Component: DatabasePage,
        children: [
          { index: true, element: <p>The overview</p> },
          { path: 'query', Component: QueryTab },
          { path: 'parameters', Component: ParametersTab },
          { path: 'settings', Component: SettingsTab },
        ],
      },
      { path: '/w/:workspace/buckets', Component: BucketsPage },
      {
        path: '/w/:workspace/buckets/:name',
        Component: BucketPage,
        children: [{ index: true, Component: FilesTab }],
      },
    ],
    { initialEntries: [`/w/default${path}`] },
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

test('creates a database, and says first what is missing', async () => {
  const user = open('/databases/new')
  await user.click(await screen.findByRole('radio', { name: /Redis/ }))
  await user.click(screen.getByRole('button', { name: 'Create' }))
  await screen.findByText('Give it a name')
  await user.type(screen.getByRole('textbox', { name: 'Name' }), 'cache')
  await user.click(screen.getByRole('button', { name: 'Create' }))
  await screen.findByText('The overview')
  expect(world.databases.pods('cache')).toEqual(['cache-redis-0'])
})

test('a name that the server refuses stands at its field', async () => {
  const user = open('/databases/new')
  await user.type(await screen.findByRole('textbox', { name: 'Name' }), 'conflict')
  await user.click(screen.getByRole('button', { name: 'Create' }))
  await screen.findByText('One more thing to settle')
  expect(screen.getByRole('textbox', { name: 'Name' }).getAttribute('aria-invalid')).toBe('true')
})

test('a statement is answered with rows, and a refusal in the engine’s words', async () => {
  const user = open('/databases/orders/query')
  await user.click(await screen.findByRole('button', { name: 'Run' }))
  const rows = await screen.findByRole('region', { name: 'Rows' })
  expect(within(rows).getByRole('columnheader', { name: 'customer' })).toBeDefined()
  expect(within(rows).getAllByText('null').length).toBeGreaterThan(0)
  await user.clear(screen.getByRole('textbox', { name: 'SQL' }))
  await user.type(screen.getByRole('textbox', { name: 'SQL' }), 'boom{Control>}{Enter}{/Control}')
  await screen.findByText(/Syntax error at or near/)
})

test('a wrong parameter is told at its field', async () => {
  const user = open('/databases/orders/parameters')
  const field = await screen.findByRole('textbox', { name: 'Value of work_mem' })
  await user.clear(field)
  await user.type(field, 'lots')
  await user.click(screen.getByRole('button', { name: 'Set' }))
  await waitFor(() => expect(field.getAttribute('aria-invalid')).toBe('true'))
})

test('storage does not shrink', async () => {
  const user = open('/databases/orders/settings')
  const field = await screen.findByRole('textbox', { name: 'Storage of a replica' })
  await user.clear(field)
  await user.type(field, '5Gi')
  expect(screen.getByText('It can grow, not shrink: it has 10 GiB')).toBeDefined()
  expect(screen.getByRole('button', { name: 'Grow' }).getAttribute('aria-disabled')).toBe('true')
})

test('a public bucket is warned of before it is made', async () => {
  const user = open('/buckets')
  await user.click(await screen.findByRole('button', { name: 'Create a bucket' }))
  await user.type(screen.getByRole('textbox', { name: 'Name' }), 'site')
  expect(screen.queryByRole('note')).toBeNull()
  await user.click(screen.getByRole('radio', { name: /Public to read and write/ }))
  expect(screen.getByRole('note').textContent).toMatch(/delete what is in it/)
  await user.click(screen.getByRole('button', { name: 'Create' }))
  await screen.findByText('The bucket is empty')
})

test('folders open, and lead back', async () => {
  const user = open('/buckets/photos')
  await user.click(await screen.findByRole('button', { name: '2026/' }))
  await user.click(await screen.findByRole('button', { name: 'coast/' }))
  await screen.findByRole('button', { name: 'seal.svg' })
  await user.click(screen.getByRole('button', { name: 'photos' }))
  expect(await screen.findByRole('button', { name: 'README.md' })).toBeDefined()
  expect(screen.queryByRole('button', { name: 'seal.svg' })).toBeNull()
})
