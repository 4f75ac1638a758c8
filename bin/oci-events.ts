import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '../runtime/base/errors.ts'
import { cgroups } from '../runtime/cgroups/driver.ts'
import { eventStats } from '../runtime/cgroups/event-stats.ts'
import { requireState, stateOf } from '../runtime/container/state.ts'
import { pidfdOpen, pollReadable } from '../runtime/linux/process.ts'
import { specText } from '../runtime/spec/exact-json.ts'
import { type Call, idOf, print, usage, type Verb } from './oci-act.ts'

export const verbs: Readonly<Record<string, Verb>> = {
  events: {
    args: '<id>',
    does: 'print statistics now and then, and every kill for want of memory, as JSON lines',
    flags: [
      '--interval <duration>  between statistics, such as 500ms or 1m (default: 5s)',
      '--stats  once, and no more',
    ],
    takes: [1, 1],
    act: telling,
  },
}

async function telling(call: Call): Promise<void> {
  const id = idOf(call)
  const every = milliseconds(call.flags.text('interval') ?? '5s')
  const { cgroupPath, status, pid = 0 } = stateOf(call.root, id)
  if (status === 'stopped') throw usage(`container with id ${id} is not running`)
  const unheard = new AbortController()
  const tell = (type: string, data?: unknown) => {
    try {
      print(specText({ type, id, ...(data ? { data } : {}) }))
    } catch (error) {
      // Whoever has read us, such as head(1), has enough.
      if (errnoOf(error) !== 'EPIPE') throw error
      unheard.abort()
    }
  }
  const stats = () => tell('stats', eventStats(cgroupPath))
  if (call.flags.has('stats')) return stats()
  requireState(call.root, id, { verb: 'watch', states: ['created', 'running', 'paused'] })
  let kills = cgroups().oomKills(cgroupPath)
  const tellKills = () => {
    const now = cgroups().oomKills(cgroupPath)
    for (; kills < now; kills++) tell('oom')
  }
  // v1 says so before anybody is killed, and the count follows: hence once more at the end of each round.
  const stop = cgroups().watchOom(cgroupPath, () => void sleep(oomSettleMilliseconds).then(tellKills))
  const timer = setInterval(() => {
    if (cgroups().exists(cgroupPath)) stats()
  }, every)
  await ended(pid, unheard.signal)
  tellKills()
  clearInterval(timer)
  stop()
}

const oomSettleMilliseconds = 20
const sliceMilliseconds = 1000

async function ended(pid: number, unheard: AbortSignal): Promise<void> {
  const pidfd = pidfdOpen(pid)
  while (!unheard.aborted && (await pollReadable([pidfd], sliceMilliseconds)).length === 0);
}

/** `1m30s`, `500ms`, `5s`: Go's durations, as far as anybody uses them. Throws USAGE. */
export function milliseconds(duration: string): number {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  const total = parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (units[unit] ?? 0), 0)
  if (parts.map(([text]) => text).join('') !== duration || total < 1) {
    throw usage(`--interval ${duration}: duration interval must be greater than 0, such as 5s`)
  }
  return total
}
