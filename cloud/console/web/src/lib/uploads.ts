/**
 * Files on their way into buckets. They go on while another page is looked at; a few at a time, so that
 * one slow disk does not starve the rest of the console of connections.
 */

export interface Upload {
  id: number
  /** Where it goes: workspace, bucket and key. */
  workspace: string
  bucket: string
  key: string
  size: number
  sent: number
  state: 'waiting' | 'sending' | 'done' | 'failed'
  error: Error | undefined
}

type Send = (
  upload: Upload,
  file: File,
  progress: (sent: number) => void,
  signal: AbortSignal,
) => Promise<void>

interface Job {
  upload: Upload
  file: File
  stop: AbortController
}

const AT_A_TIME = 3

export class Uploads {
  #jobs: Job[] = []
  #view: readonly Upload[] = []
  #listeners = new Set<() => void>()
  #lastId = 0

  /** `send` does the sending; `arrived` is told of every file that is there. */
  constructor(
    readonly send: Send,
    readonly arrived: (upload: Upload) => void,
  ) {}

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  view = (): readonly Upload[] => this.#view

  add(workspace: string, bucket: string, prefix: string, files: { path: string; file: File }[]): void {
    for (const { path, file } of files) {
      const upload: Upload = {
        id: (this.#lastId += 1),
        workspace,
        bucket,
        key: `${prefix}${path}`,
        size: file.size,
        sent: 0,
        state: 'waiting',
        error: undefined,
      }
      this.#jobs.push({ upload, file, stop: new AbortController() })
    }
    this.#changed()
    this.#next()
  }

  /** Sends a failed one again. */
  retry(id: number): void {
    const job = this.#jobs.find(({ upload }) => upload.id === id)
    if (!job) return
    job.stop = new AbortController()
    this.#set(job, { state: 'waiting', sent: 0, error: undefined })
    this.#next()
  }

  /** Stops those that are on their way and forgets those that are not. */
  clear(): void {
    for (const { upload, stop } of this.#jobs) if (upload.state === 'sending') stop.abort()
    this.#jobs = []
    this.#changed()
  }

  #next(): void {
    const sending = this.#jobs.filter(({ upload }) => upload.state === 'sending').length
    const waiting = this.#jobs.filter(({ upload }) => upload.state === 'waiting')
    for (const job of waiting.slice(0, Math.max(0, AT_A_TIME - sending))) void this.#run(job)
  }

  async #run(job: Job): Promise<void> {
    this.#set(job, { state: 'sending' })
    try {
      await this.send(job.upload, job.file, sent => this.#set(job, { sent }), job.stop.signal)
      this.#set(job, { state: 'done', sent: job.upload.size })
      this.arrived(job.upload)
    } catch (error) {
      this.#set(job, { state: 'failed', error: error instanceof Error ? error : new Error(String(error)) })
    }
    this.#next()
  }

  #set(job: Job, part: Partial<Upload>): void {
    job.upload = { ...job.upload, ...part }
    this.#changed()
  }

  #changed(): void {
    this.#view = this.#jobs.map(({ upload }) => upload)
    for (const listener of this.#listeners) listener()
  }
}
