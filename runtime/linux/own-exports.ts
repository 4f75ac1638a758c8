import koffi, { type LibraryHandle } from 'koffi'

/** A C function of Node's own binary. */
export type Native = ReturnType<LibraryHandle['func']>

let self: LibraryHandle | undefined
const known = new Map<string, Native>()

/** Node's own binary has zlib, zstd and OpenSSL and exports them, for its addons: no other has to be on the machine. */
export function own(prototype: string): Native {
  self ??= koffi.load(null)
  const native = known.get(prototype) ?? self.func(prototype)
  known.set(prototype, native)
  return native
}

/** Calls it on a thread of libuv's pool; the buffers among the arguments are in use until it is done. */
export function onPool(native: Native, ...args: unknown[]): Promise<number | bigint> {
  return new Promise((resolve, reject) => {
    native.async(...args, (error: Error | null, result: number | bigint) => (error ? reject(error) : resolve(result)))
  })
}
