import { type Architecture, type SyscallName, syscallNumber } from '../linux/syscall-numbers.ts'
import { tapeInvalid } from './errors.ts'

/** The result of an earlier entry, to be used as an argument of a later one. */
export interface Result {
  readonly entry: number
}

/** What a listing shows; as a function where it takes work, for most tapes are never listed. */
export type Words = string | (() => string)

/** A place in the tape's memory: a string or struct that the kernel reads, or fills. */
export interface Pointer {
  readonly at: number
  readonly shown: Words
}

/** A number that a listing shows in words, such as flags. */
export interface Shown {
  readonly value: number | bigint
  readonly shown: Words
}

export type Arg = number | bigint | string | null | Result | Pointer | Shown

/**
 * abort: an error ends the play and is reported. ignore: an error is a result like any other.
 * parent-leaves: for clone3; the old half reports the new pid and leaves. repeat: for ever.
 */
export type Policy = 'abort' | 'ignore' | 'parent-leaves' | 'repeat'

export interface CallOptions {
  policy?: Policy
  /** At most two errno numbers that do not end the play. Entries that use the failed result are skipped. */
  tolerate?: readonly number[]
  /** Where to put the result as 32 bits. */
  storeAt?: Pointer
}

export interface Entry {
  readonly name: SyscallName
  readonly args: readonly Arg[]
  readonly policy: Policy
  readonly tolerate: readonly number[]
  readonly storeAt?: Pointer
  /** Why the step is there; said once for a run of entries. */
  readonly why: string
}

/** Where the player maps a tape; see player.c. */
export const tapeAddress = 0x10000000
const headerBytes = 16
const entryBytes = 72
const policies: readonly Policy[] = ['abort', 'ignore', 'parent-leaves', 'repeat']

/**
 * A list of system calls to be made by the player in a process of its own: plain data, recorded without being root.
 * Strings and structs are kept in an arena behind the entries. Nothing happens before the tape is played.
 */
export class SyscallTape {
  readonly entries: Entry[] = []
  readonly #chunks: { at: number; bytes: Uint8Array; pointers: readonly (readonly [number, Pointer])[] }[] = []
  readonly #strings = new Map<string, Pointer>()
  #arenaBytes = 0
  #why = ''

  /** A tape without entries that shares this one's memory: places in it are the same. */
  emptyCopy(): SyscallTape {
    const copy = new SyscallTape()
    copy.#chunks.push(...this.#chunks)
    copy.#arenaBytes = this.#arenaBytes
    for (const [text, pointer] of this.#strings) copy.#strings.set(text, pointer)
    return copy
  }

  /** Says why the entries that follow are there. */
  because(why: string): void {
    this.#why = why
  }

  /** Records one call. Throws TAPE_INVALID for more than six arguments or two tolerated errors. */
  call(name: SyscallName, args: readonly Arg[], options: CallOptions = {}): Result {
    const { policy = 'abort', tolerate = [], storeAt } = options
    if (args.length > 6 || tolerate.length > 2) throw tapeInvalid(`too many arguments for ${name}`)
    const kept = args.map((arg) => (typeof arg === 'string' ? this.string(arg) : arg))
    this.entries.push({ name, args: kept, policy, tolerate, why: this.#why, ...(storeAt ? { storeAt } : {}) })
    return { entry: this.entries.length - 1 }
  }

  /** A NUL-terminated string. Throws TAPE_INVALID when it contains NUL itself. */
  string(text: string): Pointer {
    const known = this.#strings.get(text)
    if (known) return known
    if (text.includes('\0')) throw tapeInvalid(`a NUL byte in ${JSON.stringify(text)}`)
    const pointer = this.struct(Buffer.from(`${text}\0`), () => JSON.stringify(text))
    this.#strings.set(text, pointer)
    return pointer
  }

  /** A struct of these bytes, aligned to 8; `pointers` are written into it at their offsets. */
  struct(bytes: Uint8Array, shown: Words, pointers: readonly (readonly [number, Pointer])[] = []): Pointer {
    const at = this.#arenaBytes
    this.#chunks.push({ at, bytes, pointers })
    this.#arenaBytes += Math.ceil(bytes.length / 8) * 8
    return { at, shown }
  }

  /** A NULL-terminated `char **`. */
  strings(list: readonly string[]): Pointer {
    const pointers = list.map((text, at) => [at * 8, this.string(text)] as const)
    return this.struct(new Uint8Array(list.length * 8 + 8), () => JSON.stringify(list), pointers)
  }

  /** The bytes that the player maps, for one architecture. Throws TAPE_INVALID where that lacks a call. */
  encode(architecture: Architecture = process.arch === 'arm64' ? 'arm64' : 'x64'): Buffer {
    const arena = headerBytes + this.entries.length * entryBytes
    const bytes = Buffer.alloc(arena + this.#arenaBytes)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const base = tapeAddress + arena
    view.setUint32(0, this.entries.length, true)
    this.entries.forEach((entry, index) => {
      const number = syscallNumber(entry.name, architecture)
      if (number === undefined) throw tapeInvalid(`${architecture} has no system call ${entry.name}`)
      const at = headerBytes + index * entryBytes
      view.setUint16(at, number, true)
      view.setUint8(at + 3, policies.indexOf(entry.policy))
      for (const [k, errno] of entry.tolerate.entries()) view.setUint16(at + 4 + 2 * k, errno, true)
      let references = 0
      for (let k = 0; k < entry.args.length; k++) {
        const arg = entry.args[k] as Arg
        if (isResult(arg)) references |= 1 << k
        writeWord(view, at + 8 + 8 * k, argumentValue(arg, base))
      }
      view.setUint8(at + 2, references)
      if (entry.storeAt) writeWord(view, at + 56, base + entry.storeAt.at)
    })
    for (const chunk of this.#chunks) {
      bytes.set(chunk.bytes, arena + chunk.at)
      for (const [offset, pointer] of chunk.pointers) writeWord(view, arena + chunk.at + offset, base + pointer.at)
    }
    return bytes
  }
}

/** 64 bits, two's complement. Big integers are slow, and nearly all arguments are small. */
function writeWord(view: DataView, at: number, value: number | bigint): void {
  if (typeof value === 'bigint') view.setBigUint64(at, BigInt.asUintN(64, value), true)
  else {
    view.setUint32(at, value, true)
    view.setInt32(at + 4, Math.floor(value / 2 ** 32), true)
  }
}

function argumentValue(arg: Arg, base: number): number | bigint {
  if (arg === null || typeof arg === 'string') return 0
  if (typeof arg !== 'object') return arg
  if ('entry' in arg) return arg.entry
  return 'at' in arg ? base + arg.at : arg.value
}

/** True for an argument that is the result of an earlier entry. */
export function isResult(arg: Arg): arg is Result {
  return typeof arg === 'object' && arg !== null && 'entry' in arg
}
