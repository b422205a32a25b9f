// @ts-check
/**
 * Drives the console of a running cloud as a newcomer does.
 *
 *   SEALOS_CONSOLE_LINK  a fresh login link (`sealos console`)
 *   SEALOS_E2E_IMAGE     an image with a shell that serves HTTP (default: sealos.local/hello:latest)
 *   SEALOS_E2E_PORT      the port it serves (default: 8080)
 *   SEALOS_E2E_PICTURES  where pictures go (default: /tmp/sealos-e2e)
 */

import { accessible, launch, Run } from './browser.mjs'
import { data } from './data.mjs'

const link = process.env['SEALOS_CONSOLE_LINK']
if (!link) throw new Error('set SEALOS_CONSOLE_LINK to what `sealos console` prints')
const image = process.env['SEALOS_E2E_IMAGE'] ?? 'sealos.local/hello:latest'
const port = process.env['SEALOS_E2E_PORT'] ?? '8080'
const pictures = process.env['SEALOS_E2E_PICTURES'] ?? '/tmp/sealos-e2e'
const name = `e2e-${Date.now().toString(36).slice(-6)}`
const base = new URL(link).origin

const browser = await launch()
const context = await browser.newContext({ viewport: { width: 1360, height: 860 } })
const page = await context.newPage()
page.setDefaultTimeout(15_000)
/** @type {string[]} */
const complaints = []
page.on('pageerror', error => complaints.push(error.message))
page.on('console', message => {
  if (message.type() === 'error' && /Content Security|Uncaught/.test(message.text()))
    complaints.push(message.text())
})
const run = new Run(pictures)

/** @param {string} tab */
const openTab = tab =>
  page
    .getByRole('navigation', { name: 'Parts of the app' })
    .getByRole('link', { name: tab, exact: true })
    .click()
/** @param {string} phase @param {number} timeout */
const phase = (phase, timeout = 60_000) => page.locator(`[data-phase=${phase}]`).first().waitFor({ timeout })
/** @param {string} title */
const setting = title =>
  page.getByRole('region', { name: title, exact: true }).getByRole('button', { name: title, exact: true })
/**
 * Asks the console from a page, as only a browser can: `*.localhost` needs no name server there.
 * @param {import('playwright-core').Page} from
 * @param {string} method
 * @param {string} path
 * @param {Record<string, string>} headers
 */
const ask = (from, method, path, headers = {}) =>
  from.evaluate(
    async ([url, method, headers]) => (await fetch(url, { method, headers })).status,
    /** @type {const} */ ([`${base}${path}`, method, headers]),
  )
/** @param {string} text */
const seen = text => page.getByText(text).first().waitFor()

try {
  await run.step('a stranger is told how to get in', page, async () => {
    await page.goto(base)
    await seen('sealos console')
  })

  await run.step('the link logs in', page, async () => {
    await page.goto(link)
    await page.getByRole('heading', { name: 'Apps' }).waitFor()
    if (page.url().includes('token')) throw new Error('the token stays in the address')
  })

  await run.step('the link works only once', page, async () => {
    const stranger = await browser.newContext()
    const other = await stranger.newPage()
    await other.goto(link)
    await other.getByText('This link has been used up').waitFor()
    await stranger.close()
  })

  await run.step('wrong entries are named at their fields', page, async () => {
    await page.keyboard.press('c')
    await page.getByRole('heading', { name: 'Deploy an app' }).waitFor()
    await page.getByRole('textbox', { name: 'Image' }).fill('Not An Image')
    await page.getByRole('textbox', { name: 'Name' }).fill('Wrong')
    await page.getByRole('button', { name: 'Deploy', exact: true }).click()
    await seen('An image name has no spaces')
    await seen('Begin with a lower-case letter')
  })

  await run.step('an app is deployed from the form', page, async () => {
    await page.getByRole('textbox', { name: 'Image' }).fill(image)
    await page.getByRole('textbox', { name: 'Name' }).fill(name)
    await page.getByRole('textbox', { name: 'Port', exact: true }).fill(port)
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await page.getByRole('textbox', { name: 'Name of variable 1' }).fill('GREETING')
    await page.getByRole('textbox', { name: 'Value of GREETING' }).fill('from the console')
    await page.getByRole('button', { name: 'Add a file' }).click()
    await page.getByRole('textbox', { name: 'Path of file 1' }).fill('/etc/e2e/note.txt')
    await page.getByRole('textbox', { name: 'Content of' }).fill('a note from the form')
    await page.getByRole('region', { name: 'Preview' }).getByText('Deployment').waitFor()
    await page.getByRole('button', { name: 'Deploy', exact: true }).click()
    await page.waitForURL(`**/apps/${name}`)
  })

  await run.step('it runs', page, () => phase('running'))

  await run.step('its address answers', page, async () => {
    const url = await page.getByRole('link', { name: 'Open' }).getAttribute('href')
    if (!url) throw new Error('the app has no address')
    // Chromium resolves *.localhost itself; the runner need not.
    const other = await context.newPage()
    const response = await other.goto(url)
    if (!response?.ok()) throw new Error(`${url} answered ${response?.status()}`)
    await other.close()
  })

  await run.step('a name that is taken is refused', page, async () => {
    const other = await context.newPage()
    await other.goto(`${base}/w/default/deploy?image=nginx&name=${name}`)
    await other.getByRole('button', { name: 'Deploy', exact: true }).click()
    await other.getByText('is taken in this workspace').first().waitFor()
    await other.close()
  })

  await run.step('charts are drawn from samples', page, async () => {
    await page.getByRole('img', { name: /^CPU over time/ }).waitFor({ timeout: 40_000 })
    await page
      .getByRole('figure')
      .filter({ hasText: /Memory[\d.]+ [KMG]iB/ })
      .waitFor({ timeout: 40_000 })
  })

  await run.step('logs come as they are written', page, async () => {
    await openTab('Logs')
    await page.getByText('Following').waitFor()
    const other = await context.newPage()
    const url = await page.getByRole('link', { name: 'Open' }).getAttribute('href')
    if (url) await other.goto(url)
    await other.close()
    await page.waitForFunction(() => (document.querySelector('[role=log]')?.textContent ?? '').length > 10)
  })

  await run.step('a terminal opens in the page', page, async () => {
    await openTab('Terminal')
    await page.getByText('Connected').waitFor()
    const screen = page.locator('.xterm-rows')
    await screen.getByText(/[#$]/).first().waitFor()
    await page.keyboard.type('cat /etc/e2e/note.txt; echo "$GREETING"; stty size\n')
    await screen.getByText('a note from the form').first().waitFor()
    await screen.getByText('from the console').last().waitFor()
    await page.screenshot({ path: `${pictures}/terminal.png` })
    await page.keyboard.type('exit\n')
    await page.getByRole('button', { name: 'Connect again' }).waitFor()
  })

  await run.step('events are listed', page, async () => {
    await openTab('Events')
    await page.getByRole('list', { name: 'Events' }).getByRole('listitem').first().waitFor()
  })

  await run.step('it scales', page, async () => {
    await openTab('Settings')
    await page.getByRole('textbox', { name: 'Replicas' }).fill('2')
    await page.getByRole('button', { name: 'Scale', exact: true }).click()
    await page.getByRole('img', { name: '2 of 2 replicas ready' }).first().waitFor({ timeout: 60_000 })
  })

  await run.step('its configuration can be changed', page, async () => {
    await openTab('Configuration')
    await page.getByRole('textbox', { name: 'Value of GREETING' }).fill('changed')
    await page.getByText('Changed: environment', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Deploy the change' }).click()
    await seen('is being changed')
    await openTab('Overview')
    await phase('running')
    await page.screenshot({ path: `${pictures}/overview.png` })
  })

  await run.step('everyone can read its pages', page, async () => {
    const other = await context.newPage()
    for (const path of ['', '/deploy', `/apps/${name}`, `/apps/${name}/logs`, `/apps/${name}/settings`]) {
      await other.goto(`${base}/w/default${path}`)
      await other.getByRole('heading', { level: 1 }).waitFor()
      await other.waitForLoadState('load')
      await accessible(other)
    }
    await other.close()
  })

  await run.step('it stops and starts', page, async () => {
    await openTab('Settings')
    await setting('Stop').click()
    await phase('stopped')
    await setting('Start').click()
    await phase('running')
  })

  await run.step('it restarts', page, async () => {
    await setting('Restart').click()
    await seen('is restarting')
    await phase('running')
  })

  await run.step('the list shows it', page, async () => {
    await page.keyboard.press('a')
    await page.keyboard.press('/')
    await page.keyboard.type(name)
    await page.getByRole('row').filter({ hasText: name }).waitFor()
    await page.screenshot({ path: `${pictures}/apps.png` })
  })

  await run.step('deleting asks for the name, and deletes', page, async () => {
    await page.getByRole('button', { name: `Actions for ${name}` }).click()
    await page.getByRole('menuitem', { name: 'Delete…' }).click()
    await page.getByRole('textbox', { name: `Type “${name}” to confirm` }).fill(name)
    await page.getByRole('button', { name: 'Delete for good' }).click()
    await seen(`${name} is deleted`)
    await page.getByRole('row').filter({ hasText: name }).waitFor({ state: 'detached' })
  })

  await run.step('a missing image is explained', page, async () => {
    await page.goto(`${base}/w/default/deploy?image=sealos.local/no-such-image:1&name=${name}-bad`)
    await page.getByRole('button', { name: 'Deploy', exact: true }).click()
    await page.waitForURL(`**/apps/${name}-bad`)
    await page.getByText('cannot be had').first().waitFor({ timeout: 30_000 })
    await page.screenshot({ path: `${pictures}/missing-image.png` })
  })

  await run.step('a phone and the dark are served', page, async () => {
    const phone = await browser.newContext({
      viewport: { width: 390, height: 844 },
      colorScheme: 'dark',
      storageState: await context.storageState(),
    })
    const other = await phone.newPage()
    await other.goto(base)
    await other.getByRole('heading', { name: 'Apps' }).waitFor()
    const wide = await other.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)
    if (wide) throw new Error('the page is wider than the phone')
    await other.getByRole('button', { name: 'Menu' }).click()
    await other.getByRole('dialog').getByText('This machine').waitFor()
    await other.screenshot({ path: `${pictures}/phone.png` })
    await phone.close()
  })

  await data({ run, page, context, base, pictures, name, image, port })

  await run.step('a foreign page is refused', page, async () => {
    const stop = `/api/v1/workspaces/default/apps/${name}-bad/stop`
    const unmarked = await ask(page, 'POST', stop)
    if (unmarked !== 403) throw new Error(`without the header: ${unmarked}`)
    const other = await context.newPage()
    await other.goto(new URL(base).origin.replace('console.', 'nobody.'))
    const foreign = await ask(other, 'POST', stop, { 'X-Sealos-Console': '1' }).catch(() => 'refused')
    if (foreign !== 'refused') throw new Error(`from another host: ${foreign}`)
    await other.close()
  })

  await run.step('the page broke no rule', page, async () => {
    if (complaints.length > 0) throw new Error(complaints.join('; '))
  })

  await run.step('logging out ends the session', page, async () => {
    const gone = await ask(page, 'DELETE', `/api/v1/workspaces/default/apps/${name}-bad`, {
      'X-Sealos-Console': '1',
    })
    if (gone !== 204) throw new Error(`the app was not deleted: ${gone}`)
    await page.goto(base)
    await page.getByRole('button', { name: 'admin' }).click()
    await page.getByRole('menuitem', { name: 'Log out' }).click()
    await seen('You are logged out')
    const status = await ask(page, 'GET', '/api/v1/session')
    if (status !== 401) throw new Error(`the session still answers ${status}`)
  })
} finally {
  await browser.close()
  run.finish()
}
