// @ts-check
/** Chromium for the tests, and a runner of a few lines: named steps, a picture of what failed, a count. */

import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

/** Without these, Chromium looks for hosts of its own that a closed network does not have. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export const launch = () =>
  chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: FLAGS })

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/**
 * Holds the page as it is against the WCAG rules, levels A and AA.
 * @param {import('playwright-core').Page} page
 */
export const accessible = async page => {
  await page.evaluate(AXE)
  /** @type {string[]} */
  const found = await page.evaluate(async () => {
    // The script above put it there.
    const { axe } = /** @type {{ axe: typeof import('axe-core') }} */ (/** @type {unknown} */ (window))
    const { violations } = await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa'] })
    return violations.map(({ id, nodes }) => `${id} at ${nodes[0]?.target.join(' ')}`)
  })
  if (found.length > 0) throw new Error(`${page.url()}: ${found.join('; ')}`)
}

/** Collects the outcome of named steps. A step that fails does not keep the others from being tried. */
export class Run {
  passed = 0
  failed = 0

  /** @param {string} pictures where pictures of failures go */
  constructor(pictures) {
    this.pictures = pictures
    mkdirSync(pictures, { recursive: true })
  }

  /**
   * @param {string} name what must hold
   * @param {import('playwright-core').Page} page what is photographed when it does not
   * @param {() => Promise<unknown>} step
   */
  async step(name, page, step) {
    const since = Date.now()
    try {
      await step()
      this.passed += 1
      console.log(`ok    ${name} (${Date.now() - since} ms)`)
    } catch (error) {
      this.failed += 1
      const picture = join(this.pictures, `${name.replaceAll(/\W+/g, '-')}.png`)
      await page.screenshot({ path: picture }).catch(() => undefined)
      console.log(
        `FAIL  ${name}: ${error instanceof Error ? error.message : String(error)}\n      see ${picture}`,
      )
    }
  }

  finish() {
    console.log(`${this.passed} passed, ${this.failed} failed`)
    process.exitCode = this.failed > 0 ? 1 : 0
  }
}
