import { readFileSync, writeFileSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'

/**
 * Sets `/proc/sys/net/<path>`, for instance `ipv4/ip_forward`, in the network namespace of the calling thread: that is
 * the one which /proc/sys/net shows. Does not write a value that is there already, as /proc/sys may be read-only.
 * Returns false when the kernel has no such setting (IPv6 switched off). Throws Node's error when it refuses.
 */
export function setNetSysctl(path: string, value: string): boolean {
  const file = `/proc/sys/net/${path}`
  try {
    if (readFileSync(file, 'utf8').trim() !== value) writeFileSync(file, value)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
