import { expect, test } from 'vitest'
import { changedParts } from './changes'
import {
  draftOf,
  emptyDraft,
  fieldOf,
  nameFor,
  newEnv,
  newFile,
  newPort,
  newStorage,
  toSpec,
  type Draft,
} from './draft'
import { imageProblem, nameProblem, problems } from './problems'

const NONE = new Set<string>()
const good = (change: Partial<Draft> = {}): Draft => ({
  ...emptyDraft(),
  image: 'nginx',
  name: 'web',
  ...change,
})

test.each([
  ['', 'Give it a name'],
  ['Web', 'Begin with a lower-case letter'],
  ['web_1', 'Letters, digits and hyphens only: “_” cannot be used'],
  ['web-', 'End with a letter or digit'],
  ['a'.repeat(26), 'At most 25 characters; this has 26'],
  ['taken', '“taken” is taken in this workspace'],
  ['web-1', undefined],
])('the name %j', (name, message) => {
  expect(nameProblem(name, new Set(['taken']))).toBe(message)
})

test.each([
  ['nginx', true],
  ['nginx:1.27-alpine', true],
  ['ghcr.io/acme/shop:1.2', true],
  ['localhost:5000/a/b@sha256:' + 'a'.repeat(64), true],
  ['sealos.local/hello:dev', true],
  ['https://ghcr.io/a', false],
  ['ghcr.io/Acme/shop', false],
  ['two words', false],
  ['nginx:', false],
])('the image %j', (image, right) => {
  expect(imageProblem(image) === undefined).toBe(right)
})

test('a fresh draft lacks only an image and a name', () => {
  expect(Object.keys(problems(emptyDraft(), NONE))).toEqual(['image', 'name'])
})

test('problems stand at their fields', () => {
  const draft = good({
    ports: [newPort('80'), newPort('80'), newPort('0')],
    cpu: 'fast',
    memory: '1Ki',
    replicas: '-1',
    env: [newEnv('1A', 'x'), newEnv('B', '1'), newEnv('B', '2')],
    files: [{ ...newFile(), path: 'etc/a' }],
    storage: [{ ...newStorage(), path: '/data', size: '1Gi', atLeast: 2 ** 31 }],
    command: `sh -c "oops`,
  })
  expect(Object.keys(problems(draft, NONE)).toSorted()).toEqual([
    'command',
    'cpu',
    'env.0.name',
    'env.2.name',
    'files.0.path',
    'memory',
    'ports.0.port',
    'ports.1.port',
    'ports.2.port',
    'replicas',
    'storage.0.size',
  ])
})

test('an image suggests a name', () => {
  expect(nameFor('ghcr.io/acme/Shop_API:1.2', NONE)).toBe('shop-api')
  expect(nameFor('nginx', new Set(['nginx', 'nginx-2']))).toBe('nginx-3')
  expect(nameFor('', NONE)).toBe('')
})

test('what is edited comes back as it was', () => {
  const spec = toSpec(
    good({
      env: [newEnv('A', '1')],
      files: [{ ...newFile(), path: '/etc/a', content: 'x' }],
      storage: [{ ...newStorage(), path: '/data' }],
      args: '--verbose',
    }),
  )
  const withSecret = { ...spec, env: { ...spec.env, TOKEN: { secret: 'mine/token' } } }
  expect(toSpec(draftOf(withSecret))).toEqual(withSecret)
  expect(changedParts(withSecret, toSpec(draftOf(withSecret)))).toEqual([])
})

test('autoscaling takes the place of a fixed count', () => {
  const spec = toSpec(good({ scaling: 'auto', min: '2', max: '4' }))
  expect(spec.replicas).toBeUndefined()
  expect(spec.autoscale).toEqual({ min: 2, max: 4, metric: 'cpu', percent: 50 })
  expect(changedParts(toSpec(good()), spec)).toEqual(['replicas', 'autoscaling'])
})

test('the server’s fields find their place in the form', () => {
  const draft = good({ env: [newEnv('A', ''), newEnv('B', '')] })
  const of = (field: string) => fieldOf({ field, message: '' }, draft)
  expect([of('ports[0].port'), of('env.B'), of('autoscale'), of('name')]).toEqual([
    'ports.0.port',
    'env.1.name',
    'max',
    'name',
  ])
})
