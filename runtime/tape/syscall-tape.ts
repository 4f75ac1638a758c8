import { type Architecture, type SyscallName, syscallNumber } from '../linux/syscall-numbers.ts'
import { tapeInvalid } from './errors.ts'

/** The result of an earlier entry, to be used as an argument of a later one. */
export interface Result {
  readonly entry: number
}

/** A place in the tape's memory: a string or struct that the kernel reads, or fills. */
export interface Pointer {
  readonly at: number
  readonly shown: string
}

/** A number that a listing shows in words, such as flags. */
export interface Shown {
  readonly value: number | bigint
  readonly shown: string
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
    const pointer = this.struct(Buffer.from(`${text}\0`), JSON.stringify(text))
    this.#strings.set(text, pointer)
    return pointer
  }

  /** A struct of these bytes, aligned to 8; `pointers` are written into it at their offsets. */
  struct(bytes: Uint8Array, shown: string, pointers: readonly (readonly [number, Pointer])[] = []): Pointer {
    const at = this.#arenaBytes
    this.#chunks.push({ at, bytes, pointers })
    this.#arenaBytes += Math.ceil(bytes.length / 8) * 8
    return { at, shown }
  }

  /** A NULL-terminated `char **`. */
  strings(list: readonly string[]): Pointer {
    const pointers = list.map((text, at) => [at * 8, this.string(text)] as const)
    return this.struct(new Uint8Array(list.length * 8 + 8), JSON.stringify(list), pointers)
  }

  /** The bytes that the player maps, for one architecture. Throws TAPE_INVALID where that lacks a call. */
  encode(architecture: Architecture = process.arch === 'arm64' ? 'arm64' : 'x64'): Buffer {
    const arena = headerBytes + this.entries.length * entryBytes
    const bytes = Buffer.alloc(arena + this.#arenaBytes)
    const address = (pointer: Pointer) => BigInt(tapeAddress + arena + pointer.at)
    bytes.writeBigUInt64LE(BigInt(this.entries.length))
    this.entries.forEach((entry, index) => {
      const number = syscallNumber(entry.name, architecture)
      if (number === undefined) throw tapeInvalid(`${architecture} has no system call ${entry.name}`)
      const at = headerBytes + index * entryBytes
      bytes.writeUInt16LE(number, at)
      bytes.writeUInt8(policies.indexOf(entry.policy), at + 3)
      entry.tolerate.forEach((errno, k) => {
        bytes.writeUInt16LE(errno, at + 4 + 2 * k)
      })
      let references = 0
      entry.args.forEach((arg, k) => {
        if (isResult(arg)) references |= 1 << k
        bytes.writeBigUInt64LE(BigInt.asUintN(64, argumentValue(arg, address)), at + 8 + 8 * k)
      })
      bytes.writeUInt8(references, at + 2)
      if (entry.storeAt) bytes.writeBigUInt64LE(address(entry.storeAt), at + 56)
    })
    for (const chunk of this.#chunks) {
      bytes.set(chunk.bytes, arena + chunk.at)
      for (const [offset, pointer] of chunk.pointers) {
        bytes.writeBigUInt64LE(address(pointer), arena + chunk.at + offset)
      }
    }
    return bytes
  }
}

function argumentValue(arg: Arg, address: (pointer: Pointer) => bigint): bigint {
  if (arg === null || typeof arg === 'string') return 0n
  if (typeof arg !== 'object') return BigInt(arg)
  if ('entry' in arg) return BigInt(arg.entry)
  return 'at' in arg ? address(arg) : BigInt(arg.value)
}

/** True for an argument that is the result of an earlier entry. */
export function isResult(arg: Arg): arg is Result {
  return typeof arg === 'object' && arg !== null && 'entry' in arg
}
