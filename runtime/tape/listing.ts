import { errnoName } from '../linux/errno.ts'
import type { Arg, Entry, SyscallTape, Words } from './syscall-tape.ts'

/** One entry as strace would print it: `mount("proc", "/proc", …)`; `#12` is the result of entry 12. */
export function callText(entry: Entry): string {
  return `${entry.name}(${entry.args.map(argumentText).join(', ')})`
}

/** The whole tape, numbered from 1, with the reason above each group of steps. */
export function listing(tape: SyscallTape): string {
  const width = String(tape.entries.length).length
  let why = ''
  const lines = tape.entries.flatMap((entry, index) => {
    const heading = entry.why === why || entry.why === '' ? [] : ['', `# ${entry.why}`]
    why = entry.why
    return [...heading, `${String(index + 1).padStart(width)}  ${callText(entry)}${remark(entry)}`]
  })
  return `${lines.join('\n').trimStart()}\n`
}

function argumentText(arg: Arg): string {
  if (arg === null) return 'NULL'
  if (typeof arg !== 'object') return String(arg)
  return 'entry' in arg ? `#${arg.entry + 1}` : inWords(arg.shown)
}

/** A text that may have to be worked out. */
export function inWords(shown: Words): string {
  return typeof shown === 'string' ? shown : shown()
}

function remark(entry: Entry): string {
  const parts = [
    ...(entry.tolerate.length > 0 ? [`or ${entry.tolerate.map(errnoName).join(', ')}`] : []),
    ...(entry.policy === 'abort' ? [] : [entry.policy]),
    ...(entry.storeAt ? [`into ${inWords(entry.storeAt.shown)}`] : []),
  ]
  return parts.length > 0 ? `  [${parts.join('; ')}]` : ''
}
