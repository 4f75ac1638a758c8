/**
 * A process that watches: it is told whom and how often, opens that many watches, says `open`, and `told` when each has
 * heard of something. Of its own, because a process has a limit of open files, and both ends would not fit into it.
 */
import { Agent, request } from 'node:https'
import type { Victim } from '../fixtures/http-abuse.ts'

export interface Watch {
  readonly victim: Victim
  readonly path: string
  readonly count: number
}

/** So many connect at once. */
const atOnce = 100

// Whoever is left alone has nobody to tell.
process.once('disconnect', () => process.exit())

process.once('message', async ({ victim, path, count }: Watch) => {
  let told = 0
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })
  const open = () =>
    new Promise<void>((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', ...victim, path, agent, rejectUnauthorized: false }, (answer) => {
        answer.once('data', () => {
          told++
          if (told === count) process.send?.('told')
        })
        answer.on('error', () => {})
        resolve()
      })
      asked.on('error', reject)
      asked.end()
    })
  for (let opened = 0; opened < count; opened += atOnce) {
    await Promise.all(Array.from({ length: Math.min(atOnce, count - opened) }, open))
  }
  process.send?.('open')
})
