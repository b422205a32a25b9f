// @ts-check
/** The part of the walk that is about data: a real PostgreSQL, a real bucket, an app with both. */

import { readFileSync } from 'node:fs'
import { accessible } from './browser.mjs'

/** Building an engine's image from packages takes its time on a small machine. */
const IMAGE = 420_000
/** A picture of one point, which every browser can draw. */
const POINT = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
/** More than fits into one part of an upload. */
const LARGE = 20 * 1024 * 1024 + 7

/**
 * @typedef {object} Walk
 * @property {import('./browser.mjs').Run} run
 * @property {import('playwright-core').Page} page
 * @property {import('playwright-core').BrowserContext} context
 * @property {string} base
 * @property {string} pictures
 * @property {string} name what all names begin with
 * @property {string} image an image with a shell that serves HTTP
 * @property {string} port
 */

/** @param {Walk} walk */
export const data = async walk => {
  await database(walk)
  await bucket(walk)
  await together(walk)
}

/** @param {Walk} walk */
const database = async ({ run, page, context, base, pictures, name }) => {
  const own = `${name}-pg`
  const tab = tabs(page, 'Parts of the database')

  await run.step('a database is made from the form', page, async () => {
    await page.goto(`${base}/w/default`)
    await page.getByRole('heading', { name: 'Apps' }).waitFor()
    await page.keyboard.press('d')
    await page.getByRole('heading', { name: 'Databases', exact: true }).waitFor()
    await page
      .getByRole('link', { name: /Create/ })
      .first()
      .click()
    await page.getByRole('radio', { name: /PostgreSQL/ }).check({ force: true })
    await page.getByRole('button', { name: 'Create', exact: true }).click()
    await page.getByText('Give it a name').waitFor()
    await page.getByRole('textbox', { name: 'Name' }).fill(own)
    await page.getByRole('textbox', { name: 'Memory' }).fill('256Mi')
    await page.getByRole('textbox', { name: 'Storage' }).fill('1Gi')
    await page.getByRole('switch', { name: 'Back up by a schedule' }).click()
    await page.getByRole('button', { name: 'Create', exact: true }).click()
    await page.waitForURL(`**/databases/${own}`)
  })

  await run.step('it becomes ready, with a primary', page, async () => {
    await page.locator('[data-phase=running]').first().waitFor({ timeout: IMAGE })
    await page.getByText('Primary', { exact: true }).waitFor({ timeout: 30_000 })
    await page.screenshot({ path: `${pictures}/database.png` })
  })

  await run.step('its password is shown when asked for', page, async () => {
    await page.getByRole('button', { name: 'Show the password' }).click()
    await page.getByRole('button', { name: 'Hide the password' }).waitFor()
  })

  await run.step('a statement is answered with rows', page, async () => {
    await tab('Query')
    const text = page.getByRole('textbox', { name: 'SQL' })
    await text.fill(
      'CREATE TABLE seals (id int, name text); INSERT INTO seals VALUES (1, $$Ada$$), (2, NULL);',
    )
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page.getByRole('region', { name: 'Result' }).waitFor()
    await text.fill('SELECT id, name FROM seals ORDER BY id')
    await text.press('Control+Enter')
    await page.getByRole('cell', { name: 'Ada' }).first().waitFor()
    await page.getByRole('columnheader', { name: 'name' }).waitFor()
    await page.screenshot({ path: `${pictures}/query.png` })
    await text.fill('SELEKT 1')
    await text.press('Control+Enter')
    await page
      .getByRole('alert')
      .getByText(/syntax error/i)
      .waitFor()
  })

  await run.step('its numbers are drawn', page, async () => {
    await tab('Metrics')
    await page.getByRole('img', { name: /^Connections over time/ }).waitFor({ timeout: 60_000 })
  })

  await run.step('the engine’s own client opens', page, async () => {
    await tab('Terminal')
    await page.getByText('Connected').waitFor()
    const screen = page.locator('.xterm-rows')
    await screen.getByText(/[=#>]/).first().waitFor()
    await page.keyboard.type('select 6*7 as answer;\n')
    await screen.getByText('42').first().waitFor()
  })

  await run.step('the engine’s log is shown', page, async () => {
    await tab('Logs')
    await page.waitForFunction(() => (document.querySelector('[role=log]')?.textContent ?? '').length > 20)
  })

  await run.step('a wrong parameter is refused, a right one is set', page, async () => {
    await tab('Parameters')
    await page.getByRole('searchbox', { name: 'Find a parameter' }).fill('work_mem')
    const field = page.getByRole('textbox', { name: 'Value of work_mem', exact: true })
    await field.fill('lots')
    await page.getByRole('button', { name: 'Set', exact: true }).click()
    await page.getByRole('alert').first().waitFor()
    await field.fill('8MB')
    await page.getByRole('button', { name: 'Set', exact: true }).click()
    await page.getByText('has its new parameters').first().waitFor()
  })

  await run.step('everyone can read the pages of a database', page, async () => {
    const other = await context.newPage()
    const paths = ['', '/new', `/${own}`, `/${own}/metrics`, `/${own}/query`, `/${own}/backups`]
    for (const path of [...paths, `/${own}/parameters`, `/${own}/settings`]) {
      await other.goto(`${base}/w/default/databases${path}`)
      await other.getByRole('heading', { level: 1 }).waitFor()
      await other.waitForLoadState('networkidle')
      await accessible(other)
    }
    await other.close()
  })

  await run.step('a database is deleted by its name', page, async () => {
    await tab('Settings')
    await page.getByRole('button', { name: 'Delete…' }).click()
    const keep = page.getByRole('switch', { name: 'Make and keep a last backup' })
    if (await keep.isChecked()) await keep.click()
    await page.getByRole('textbox', { name: /to confirm/ }).fill(own)
    await page.getByRole('button', { name: 'Delete for good' }).click()
    await page.getByRole('heading', { name: 'Databases', exact: true }).waitFor()
    await page.getByRole('link', { name: own, exact: true }).waitFor({ state: 'detached', timeout: 60_000 })
  })
}

/** @param {Walk} walk */
const bucket = async ({ run, page, context, base, pictures, name }) => {
  const own = `${name}-files`
  const tab = tabs(page, 'Parts of the bucket')

  await run.step('a bucket is made', page, async () => {
    await page.goto(`${base}/w/default/buckets`)
    await page.getByRole('button', { name: 'Create a bucket' }).click()
    await page.getByRole('textbox', { name: 'Name' }).fill(own)
    await page.getByRole('button', { name: 'Create', exact: true }).click()
    await page.waitForURL(`**/buckets/${own}`)
    await page.getByText('The bucket is empty').waitFor()
  })

  await run.step('files are uploaded, large ones too', page, async () => {
    const files = [
      { name: 'seal.png', mimeType: 'image/png', buffer: POINT },
      { name: 'note.txt', mimeType: 'text/plain', buffer: Buffer.from('calm waters') },
      { name: 'large.bin', mimeType: 'application/octet-stream', buffer: Buffer.alloc(LARGE, 's') },
    ]
    await page.locator('input[type=file]').setInputFiles(files, { timeout: 60_000 })
    await page.getByText('3 files uploaded').waitFor({ timeout: 60_000 })
    await page.getByRole('button', { name: 'large.bin', exact: true }).waitFor()
    await page.screenshot({ path: `${pictures}/bucket.png` })
  })

  await run.step('what was dropped arrives', page, async () => {
    const drop = await page.evaluateHandle(() => {
      const transfer = new DataTransfer()
      transfer.items.add(new File(['dropped'], 'dropped.txt', { type: 'text/plain' }))
      return transfer
    })
    const zone = page.getByRole('region', { name: 'Files', exact: true })
    for (const type of ['dragenter', 'dragover', 'drop'])
      await zone.dispatchEvent(type, { dataTransfer: drop })
    await page.getByRole('button', { name: 'dropped.txt', exact: true }).waitFor()
    await page.getByRole('button', { name: 'Put away' }).first().click()
  })

  await run.step('a picture and a text are looked at', page, async () => {
    await page.getByRole('button', { name: 'seal.png', exact: true }).click()
    await page.waitForFunction(() => {
      const picture = document.querySelector('[role=dialog] img')
      return picture instanceof HTMLImageElement && picture.naturalWidth === 1
    })
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'note.txt', exact: true }).click()
    await page.getByText('calm waters').waitFor()
    await page.keyboard.press('Escape')
  })

  await run.step('what is downloaded is what was uploaded', page, async () => {
    await page.getByRole('button', { name: 'Actions for large.bin' }).click()
    const coming = page.waitForEvent('download')
    await page.getByRole('menuitem', { name: 'Download' }).click()
    const file = readFileSync(await (await coming).path())
    if (file.length !== LARGE || !file.equals(Buffer.alloc(LARGE, 's')))
      throw new Error(`${file.length} bytes came back, or other ones`)
  })

  await run.step('a shared link opens without a session', page, async () => {
    await page.getByRole('button', { name: 'Actions for note.txt' }).click()
    await page.getByRole('menuitem', { name: /Share/ }).click()
    await page.getByRole('button', { name: 'Make a link' }).click()
    const link = await page.getByRole('dialog').locator('code').textContent()
    const other = await context.browser()?.newPage()
    const answer = await other?.goto(link ?? '')
    if ((await answer?.text()) !== 'calm waters') throw new Error(`${link} answered ${answer?.status()}`)
    await other?.close()
    await page.keyboard.press('Escape')
  })

  await run.step('keys and ready-made configurations are shown', page, async () => {
    await tab('Keys')
    await page.getByRole('button', { name: 'Show the secret key' }).click()
    await page.getByText('endpoint = http').waitFor()
  })

  await run.step('everyone can read the pages of a bucket', page, async () => {
    const other = await context.newPage()
    for (const path of ['', `/${own}`, `/${own}/keys`, `/${own}/usage`, `/${own}/settings`]) {
      await other.goto(`${base}/w/default/buckets${path}`)
      await other.getByRole('heading', { level: 1 }).waitFor()
      await other.waitForLoadState('networkidle')
      await accessible(other)
    }
    await other.close()
  })

  await run.step('files and the bucket are deleted', page, async () => {
    await tab('Files')
    await page.getByRole('checkbox', { name: 'Choose note.txt' }).check()
    await page.getByRole('checkbox', { name: 'Choose seal.png' }).check()
    await page.getByRole('button', { name: 'Delete 2' }).click()
    await page.getByRole('button', { name: 'Delete for good' }).click()
    await page.getByRole('button', { name: 'note.txt', exact: true }).waitFor({ state: 'detached' })
    await tab('Settings')
    await page.getByRole('button', { name: 'Delete…' }).click()
    await page.getByRole('textbox', { name: /to confirm/ }).fill(own)
    await page.getByRole('button', { name: 'Delete for good' }).click()
    await page.getByRole('heading', { name: 'Buckets', exact: true }).waitFor()
  })
}

/** @param {Walk} walk */
const together = async ({ run, page, base, pictures, name, image, port }) => {
  const own = `${name}-both`

  await run.step('one form makes an app, its database and its bucket', page, async () => {
    await page.goto(`${base}/w/default/deploy?image=${encodeURIComponent(image)}&name=${own}&port=${port}`)
    await page.getByRole('combobox', { name: 'Database' }).selectOption('postgresql')
    await page.getByRole('switch', { name: 'A bucket for files' }).click()
    await page.getByRole('textbox', { name: 'Name of the bucket' }).fill(own)
    const preview = page.getByRole('region', { name: 'Preview' })
    await preview.getByText('ObjectStorageBucket').waitFor()
    await preview.getByText('DATABASE_URL').waitFor()
    await page.getByRole('button', { name: 'Deploy', exact: true }).click()
    await page.waitForURL(`**/apps/${own}`)
  })

  await run.step('the app runs and shows what it is linked to', page, async () => {
    await page.locator('[data-phase=running]').first().waitFor({ timeout: IMAGE })
    await page.getByRole('link', { name: `${own}-db` }).waitFor()
    await page.getByRole('link', { name: own, exact: true }).last().waitFor()
    await page.screenshot({ path: `${pictures}/linked.png` })
  })

  await run.step('its variables are set', page, async () => {
    await tabs(page, 'Parts of the app')('Terminal')
    await page.getByText('Connected').waitFor()
    await page.locator('.xterm-rows').getByText(/[#$]/).first().waitFor()
    await page.keyboard.type('echo "db=${DATABASE_URL%%:*} bucket=$S3_BUCKET"\n')
    await page.locator('.xterm-rows').getByText(`bucket=default-${own}`).last().waitFor()
  })

  await run.step('all three are taken away again', page, async () => {
    for (const path of [`apps/${own}`, `databases/${own}-db`, `buckets/${own}`]) {
      const status = await page.evaluate(
        async url => (await fetch(url, { method: 'DELETE', headers: { 'X-Sealos-Console': '1' } })).status,
        `${base}/api/v1/workspaces/default/${path}`,
      )
      if (status !== 204) throw new Error(`${path}: ${status}`)
    }
  })
}

/**
 * Opens a tab by its name.
 * @param {import('playwright-core').Page} page
 * @param {string} parts
 */
const tabs =
  (page, parts) =>
  /** @param {string} tab */
  tab =>
    page.getByRole('navigation', { name: parts }).getByRole('link', { name: tab, exact: true }).click()
