import { expect, test } from 'vitest'
import { changedParts } from './changes'
import { draftOf, emptyDraft, toSpec, type Draft } from './draft'
import { problems } from './problems'

const NONE = new Set<string>()
const shop = (part: Partial<Draft>): Draft => ({ ...emptyDraft(), image: 'shop:1', name: 'shop', ...part })

test('one word is enough for what is as usual', () => {
  const spec = toSpec(shop({ database: 'postgresql', bucketOn: true, bucketName: 'photos' }))
  expect([spec.database, spec.bucket]).toEqual(['postgresql', 'photos'])
  expect(toSpec(shop({}))).not.toHaveProperty('database')
})

test('more is said where more is asked for', () => {
  const draft = shop({
    database: 'postgresql',
    databaseName: 'main',
    databaseReplicas: '2',
    databaseBackup: true,
    bucketOn: true,
    bucketName: 'photos',
    bucketPolicy: 'publicRead',
  })
  const spec = toSpec(draft)
  expect(spec.database).toEqual({ engine: 'postgresql', name: 'main', replicas: 2, backup: true })
  expect(spec.bucket).toEqual({ name: 'photos', policy: 'publicRead' })
})

test('what the form does not show survives a change', () => {
  const spec = {
    ...toSpec(shop({})),
    database: { engine: 'postgres', version: '16', storage: '20Gi', backup: '0 4 * * *' },
    bucket: 'photos',
  }
  const again = toSpec(draftOf(spec))
  expect(again.database).toEqual({
    engine: 'postgresql',
    version: '16',
    storage: '20Gi',
    backup: '0 4 * * *',
  })
  expect(again.bucket).toBe('photos')
  expect(changedParts(toSpec(draftOf(spec)), { ...again, bucket: 'files' })).toEqual(['bucket'])
})

test('names what is wrong with them', () => {
  const wrong = problems(
    shop({ database: 'redis', databaseName: 'No', databaseReplicas: '0', bucketOn: true, bucketName: 'a' }),
    NONE,
  )
  expect(Object.keys(wrong)).toEqual(['database.name', 'database.replicas', 'bucket.name'])
  expect(problems(shop({ bucketOn: true }), NONE)['bucket.name']).toBe('Give it a name')
})
