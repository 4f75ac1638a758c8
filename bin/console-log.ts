import type { Log } from '../runtime/base/log.ts'

/** For commands that people run by hand: only what went wrong. */
export const consoleLog: Log = {
  debug() {},
  info() {},
  warn: (message, facts) => console.error(`warning: ${message}`, facts ?? ''),
  error: (message, facts) => console.error(message, facts ?? ''),
}
