import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Birth } from '../birth/order.ts'
import type { TapeMarks } from '../launcher/protocol.ts'
import { makePipe } from '../linux/process.ts'
import { callText, inWords } from '../tape/listing.ts'
import { type Arg, isResult, type SyscallTape } from '../tape/syscall-tape.ts'
import { marksOf } from './create.ts'
import type { BirthTrace } from './player.ts'

/** Where the player finds the pipe of a trace; a number that no tape uses for anything else. */
const traceDescriptor = 590
const recordBytes = 48
const CLOCK_MONOTONIC_RAW = { value: 4, shown: 'CLOCK_MONOTONIC_RAW' }
/** What is left where a result was an error that the tape tolerates: results are stored only when they are none. */
const nothingStored = 0x7fffffff

interface Taken {
  result: number | undefined
  microseconds: number
}

/**
 * A birth that tells of each of its calls while it happens: the same entries, and around each of them two readings of the clock
 * and a write, recorded like any other call. The player is not changed. After a seccomp filter has been loaded nothing more is told:
 * it may forbid the telling. `until` the gate alone for a birth whose reader will not be there any more afterwards.
 */
export function birthTrace(until: 'gate' | 'exec'): BirthTrace & { text(): Promise<string> } {
  const taken = new Map<number, Taken>()
  let birth: Birth | undefined
  let placeOf: readonly number[] = []
  let heard: Promise<void> = Promise.resolve()
  return {
    interleave(recorded) {
      birth = recorded
      const woven = weave(recorded, until === 'gate' && recorded.ready >= 0 ? recorded.ready : Number.POSITIVE_INFINITY)
      placeOf = woven.placeOf
      const pipe = makePipe()
      heard = listen(pipe.read, taken)
      const { tape, marks } = woven
      return {
        tape,
        marks,
        descriptors: new Map([[traceDescriptor, pipe.write]]),
        onStarted: () => closeSync(pipe.write),
      }
    },
    entryOf: (place) =>
      Math.max(
        0,
        placeOf.findLastIndex((at) => at <= place),
      ),
    async text() {
      if (until === 'exec') await heard
      return birth ? tracedListing(birth.tape, taken) : ''
    },
  }
}

function weave(birth: Birth, last: number): { tape: SyscallTape; marks: TapeMarks; placeOf: number[] } {
  const from = birth.tape
  const tape = from.emptyCopy()
  const placeOf: number[] = []
  const marks = marksOf(birth)
  const reported = new Set([birth.ready, ...birth.gates.map(({ at }) => at)])
  const mask = from.entries.findIndex(({ name }) => name === 'seccomp')
  const end = Math.min(last, mask < 0 ? Number.POSITIVE_INFINITY : mask - 1)
  const moved = (arg: Arg): Arg => (isResult(arg) ? { entry: placeOf[arg.entry] ?? 0 } : arg)
  from.entries.forEach((entry, index) => {
    tape.because(entry.why)
    const record = Buffer.alloc(recordBytes)
    record.writeUInt32LE(index, 0)
    record.writeUInt32LE(nothingStored, 4)
    const isTold = index <= end && entry.name !== 'execve'
    const at = isTold ? tape.struct(record, '<trace>') : undefined
    const clock = (offset: number) => {
      if (at) tape.call('clock_gettime', [CLOCK_MONOTONIC_RAW, { ...at, at: at.at + offset }], { policy: 'ignore' })
    }
    clock(8)
    // A gate reports the number that its entry has on the tape as it was recorded: no other may have the same.
    while (index === birth.clone && reported.has(tape.entries.length)) tape.call('getpid', [])
    placeOf[index] = tape.entries.length
    const { name, policy, tolerate } = entry
    const storeAt = entry.storeAt ?? (at ? { ...at, at: at.at + 4 } : undefined)
    for (const args of spared(name, entry.args.map(moved))) {
      tape.call(name, args, { policy, tolerate, ...(storeAt ? { storeAt } : {}) })
    }
    clock(24)
    if (at) tape.call('write', [traceDescriptor, at, recordBytes], { policy: 'ignore' })
  })
  return { tape, marks: { ...marks, clone: placeOf[birth.clone] ?? -1 }, placeOf }
}

/** close_range in two halves, around our own descriptor; what closes at execve may close that too. */
function spared(name: string, args: Arg[]): Arg[][] {
  const [first, last, how] = args
  if (name !== 'close_range' || typeof first !== 'number' || numberOf(how) !== 0) return [args]
  if (first > traceDescriptor || numberOf(last) < traceDescriptor) return [args]
  return [
    [first, traceDescriptor - 1, 0],
    [traceDescriptor + 1, last ?? 0, 0],
  ]
}

function numberOf(arg: Arg | undefined): number {
  const value = typeof arg === 'object' && arg !== null && 'value' in arg ? arg.value : arg
  return typeof value === 'number' ? value : Number.NaN
}

function listen(fd: number, taken: Map<number, Taken>): Promise<void> {
  const socket = new Socket({ fd, readable: true, writable: false })
  let rest = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (; rest.length >= recordBytes; rest = rest.subarray(recordBytes)) {
      const stored = rest.readUInt32LE(4)
      const nanoseconds = timeAt(rest, 24) - timeAt(rest, 8)
      const result = stored === nothingStored ? undefined : stored
      taken.set(rest.readUInt32LE(0), { result, microseconds: Number(nanoseconds) / 1000 })
    }
  })
  // Only the tapes's own end ends it: a trace must not keep us alive when a birth has been given up.
  socket.unref()
  return new Promise((resolve) => {
    socket.on('close', () => resolve())
    socket.on('error', () => resolve())
  })
}

const timeAt = (record: Buffer, at: number) =>
  record.readBigInt64LE(at) * 1_000_000_000n + record.readBigInt64LE(at + 8)

/** The tape as it was played: microseconds, the call, and its result. */
function tracedListing(tape: SyscallTape, taken: ReadonlyMap<number, Taken>): string {
  const width = String(tape.entries.length).length
  const rows: string[] = []
  let why = ''
  let total = 0
  for (const [index, entry] of tape.entries.entries()) {
    if (entry.why !== why && entry.why !== '') rows.push('', `# ${entry.why}`)
    why = entry.why
    const told = taken.get(index)
    total += told?.microseconds ?? 0
    const time = told === undefined ? '' : told.microseconds.toFixed(1)
    const result =
      told === undefined
        ? ''
        : resultText(entry.storeAt !== undefined, told.result, inWords(entry.storeAt?.shown ?? ''))
    rows.push(`${String(index + 1).padStart(width)} ${time.padStart(8)}  ${callText(entry)}${result}`)
  }
  const silent = tape.entries.length - taken.size
  const note =
    silent === 0
      ? ''
      : `; of ${silent} without a time nobody tells: execve, what a seccomp filter hides, what was not reached`
  return `${rows.join('\n').trimStart()}\n\n${total.toFixed(1)} microseconds in ${taken.size} calls${note}\n`
}

function resultText(isStoredElsewhere: boolean, result: number | undefined, place: string): string {
  if (isStoredElsewhere) return ` = (into ${place})`
  return result === undefined ? ' = an error that does not matter' : ` = ${result}`
}
