import { fstatSync } from 'node:fs'

/**
 * Which of this process' streams a container's user may own, as with runc: a pipe that an engine has made, the file that a
 * shell writes to. Never a device: /dev/null and terminals are the host's.
 */
export function callersStdio(): number[] {
  return [0, 1, 2].filter((fd) => {
    try {
      return !fstatSync(fd).isCharacterDevice()
    } catch {
      return false
    }
  })
}
