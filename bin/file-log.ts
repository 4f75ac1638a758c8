import { openSync } from 'node:fs'
import pino from 'pino'
import type { Log } from '../runtime/base/log.ts'

/** JSON lines into a file; warnings and errors also as one plain line for the person at the terminal. */
export function fileLog(path: string, terminal: { write(text: string): unknown }): Log & { close(): void } {
  // Opened here and now: a process that fails at once must be able to write why.
  const destination = pino.destination({ dest: openSync(path, 'a', 0o644), sync: false })
  const logger = pino({ level: 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination)
  const write =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, facts: Readonly<Record<string, unknown>> = {}) => {
      const { error, ...rest } = facts
      logger[level](error === undefined ? rest : { ...rest, err: error }, message)
      if (level === 'warn' || level === 'error') terminal.write(`${level}: ${message}\n`)
    }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    close: () => {
      // Nothing is written yet when the process ends at once; then there is nothing to flush either.
      try {
        destination.flushSync()
      } catch {}
      destination.end()
    },
  }
}
