import koffi, { type LibraryHandle } from 'koffi'
import { CoracleError, type Facts } from '../base/errors.ts'
import { errnoName } from './errno.ts'

/** An argument of a C call. A Buffer is passed as a pointer to its bytes, `null` as NULL, a list as `char **`. */
export type Argument = number | bigint | string | Uint8Array | null | readonly (string | null)[]

/** A bound C function. Synchronous: it blocks the thread that calls it. */
export interface CFunction {
  /** Returns what the function returned. Throws `KERNEL` with the call, its arguments and errno when that is -1. */
  (...args: Argument[]): number
  /** The same, but an error is an answer: returns -errno. For calls whose failure is the usual case. */
  probe(...args: Argument[]): number
  /** The same on a thread of libuv's pool, for a call that may block. */
  async(...args: Argument[]): Promise<number>
}

type Native = ReturnType<LibraryHandle['func']>

let libc: LibraryHandle | undefined

/**
 * Binds a function of libc by its C prototype, e.g. `int setns(int fd, int nstype)`. The library is opened at the
 * first call. With `shownAs`, errors name that system call: for those that go through `syscall`.
 */
export function bind(prototype: string, shownAs?: string): CFunction {
  let native: Native | undefined
  const name = shownAs ?? /(\w+)\s*\(/.exec(prototype)?.[1] ?? prototype
  const shownArguments = (args: readonly Argument[]) => (shownAs === undefined ? args : args.slice(1))
  const resolve = (): Native => {
    libc ??= koffi.load('libc.so.6')
    native ??= libc.func(prototype)
    return native
  }
  const bound = (...args: Argument[]): number => {
    const result = Number((native ?? resolve())(...args))
    if (result === -1) throw kernelError(name, shownArguments(args), koffi.errno())
    return result
  }
  const probe = (...args: Argument[]): number => {
    const result = Number((native ?? resolve())(...args))
    return result === -1 ? -koffi.errno() : result
  }
  const later = (...args: Argument[]): Promise<number> =>
    new Promise((done, failed) => {
      resolve().async(...args, (error: Error | null, result: number | bigint) => {
        // koffi restores errno of the worker thread before it calls back.
        const errno = koffi.errno()
        if (error) failed(error)
        else if (Number(result) === -1) failed(kernelError(name, shownArguments(args), errno))
        else done(Number(result))
      })
    })
  return Object.assign(bound, { probe, async: later })
}

/** The error of a failed system call: `mount("proc", "/proc") failed: EPERM`. */
export function kernelError(call: string, args: readonly Argument[], errno: number, facts: Facts = {}): CoracleError {
  const name = errnoName(errno)
  return new CoracleError(`${call}(${args.map(shown).join(', ')}) failed: ${name}`, {
    code: 'KERNEL',
    facts: { syscall: call, errno: name, ...facts },
    retryable: name === 'EINTR' || name === 'EAGAIN',
  })
}

function shown(argument: Argument): string {
  if (typeof argument === 'string') return JSON.stringify(argument)
  if (argument === null) return 'NULL'
  return argument instanceof Uint8Array ? `<${argument.length} bytes>` : String(argument)
}
