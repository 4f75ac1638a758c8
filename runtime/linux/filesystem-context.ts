import { closeSync, readSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'
import { FSOPEN_CLOEXEC } from './constants.ts'
import { bind } from './ffi.ts'
import { syscallNumber } from './syscall-numbers.ts'

const fsopenCall = bind('long syscall(long number, const char *type, unsigned int flags)', 'fsopen')
const fsconfigCall = bind(
  'long syscall(long number, int fd, unsigned int command, const char *key, const char *value, int more)',
  'fsconfig',
)

const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'

/** One call of fsconfig(2). */
export interface FilesystemSetting {
  command: number
  key: string | null
  value: string | null
}

/**
 * What a filesystem says about settings that it refuses: the kernel writes it into the context, where only who holds that
 * can read it (fsopen(2)). So the settings are made once more, and nothing is mounted. Undefined when it says nothing.
 */
export function filesystemComplaint(type: string, settings: readonly FilesystemSetting[]): string | undefined {
  const context = fsopenCall.probe(syscallNumber('fsopen', architecture) ?? -1, type, FSOPEN_CLOEXEC)
  if (context < 0) return undefined
  try {
    const number = syscallNumber('fsconfig', architecture) ?? -1
    for (const { command, key, value } of settings) {
      if (fsconfigCall.probe(number, context, command, key, value, 0) < 0) break
    }
    return messagesOf(context)
  } finally {
    closeSync(context)
  }
}

/** Each read gives one message, with its weight in front: `e tmpfs: Unknown parameter 'x'`. */
function messagesOf(context: number): string | undefined {
  const messages: string[] = []
  const buffer = Buffer.alloc(1024)
  try {
    for (let count = 0; count < 16; count++) {
      const line = buffer.toString('utf8', 0, readSync(context, buffer))
      messages.push(line.replace(/^[ewi] /, '').trim())
    }
  } catch (error) {
    // ENODATA: that was the last.
    if (errnoOf(error) === undefined) throw error
  }
  return messages.length > 0 ? messages.join('; ') : undefined
}
