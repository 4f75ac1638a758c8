import { closeSync, constants, openSync } from 'node:fs'
import { O_PATH } from './at-files.ts'
import { FSCONFIG_CMD_CREATE, FSCONFIG_SET_STRING, FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC } from './constants.ts'
import { bind } from './ffi.ts'
import { syscallNumber } from './syscall-numbers.ts'

const fsopenCall = bind('long syscall(long number, const char *type, unsigned int flags)', 'fsopen')
const fsconfigCall = bind(
  'long syscall(long number, int fd, unsigned int command, const char *key, const char *value, int more)',
  'fsconfig',
)
const fsmountCall = bind('long syscall(long number, int fd, unsigned int flags, unsigned int attributes)', 'fsmount')

const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'
const number = (name: string) => syscallNumber(name, architecture) ?? -1

/**
 * The root of an overlay that is mounted nowhere: nobody but the holder of the descriptor sees it, and it is gone with it,
 * also when the process is killed. `lower` begins with the topmost. The folders must be part of no other writable overlay
 * at that time (overlayfs.rst, "Sharing and copying layers"). Linux 6.5, for `lowerdir+`. Throws `KERNEL`.
 */
export function openDetachedOverlay(o: { lower: readonly string[]; upper: string; work: string }): number {
  const opened: number[] = []
  const folder = (path: string) => {
    const fd = openSync(path, O_PATH | constants.O_DIRECTORY)
    opened.push(fd)
    // fsconfig takes no more than 255 bytes, and would see backslashes in a path as escapes.
    return `/proc/self/fd/${fd}`
  }
  try {
    const context = fsopenCall(number('fsopen'), 'overlay', FSOPEN_CLOEXEC)
    opened.push(context)
    const set = (key: string, value: string) =>
      fsconfigCall(number('fsconfig'), context, FSCONFIG_SET_STRING, key, value, 0)
    for (const layer of o.lower) set('lowerdir+', folder(layer))
    set('upperdir', folder(o.upper))
    set('workdir', folder(o.work))
    fsconfigCall(number('fsconfig'), context, FSCONFIG_CMD_CREATE, null, null, 0)
    return fsmountCall(number('fsmount'), context, FSMOUNT_CLOEXEC, 0)
  } finally {
    for (const fd of opened) closeSync(fd)
  }
}
