import { readlinkSync } from 'node:fs'
import type { OciProcess } from '../runtime/spec/types.ts'
import type { Flags } from './oci-flags.ts'
import { usage } from './oci-flags.ts'

/**
 * How many descriptors after 0, 1 and 2 the process gets: those of socket activation (`LISTEN_FDS` of our own environment,
 * sd_listen_fds(3)) and then those of `--preserve-fds`. The process is told of the former as systemd would, also of
 * those that whoever has set `LISTEN_FDS` has not opened. Throws USAGE for one that `--preserve-fds` needs and that is not open.
 */
export function preservedDescriptors(flags: Flags, process_: OciProcess | undefined): number {
  const listening = Number(process.env.LISTEN_FDS ?? 0) || 0
  const asked = flags.number('preserve-fds') ?? 0
  const preserve = asked === 0 ? open(listening) : listening + asked
  if (preserve < 0 || preserve > 300) throw usage(`--preserve-fds: ${preserve} descriptors cannot be passed on`)
  for (let fd = 3; fd < 3 + preserve; fd++) {
    if (!isPassedOn(fd)) throw usage(`please check that preserved-fd ${fd - 2} (of ${preserve}) is present`)
  }
  if (listening > 0 && process_) {
    process_.env = [...(process_.env ?? []), `LISTEN_FDS=${listening}`, 'LISTEN_PID=1']
  }
  return preserve
}

/** How many of `count` descriptors from 3 on there are, without those at the end that are not open. */
function open(count: number): number {
  const numbers = Array.from({ length: Math.min(count, 300) }, (_, at) => at + 3)
  return numbers.findLastIndex(isPassedOn) + 1
}

/** Node opens its own event loop at the first numbers that are free. */
function isPassedOn(fd: number): boolean {
  try {
    return !/^anon_inode:\[(eventpoll|eventfd|io_uring)\]$/.test(readlinkSync(`/proc/self/fd/${fd}`))
  } catch {
    return false
  }
}
