import { closeSync, constants, openSync, statSync } from 'node:fs'
import { bind } from './ffi.ts'

const setns = bind('int setns(int fd, int nstype)')
const CLONE_NEWNET = 0x40000000

/** The network namespace of the calling thread, as a descriptor that the caller closes. */
export function openOwnNetworkNamespace(): number {
  return openSync('/proc/thread-self/ns/net', constants.O_RDONLY)
}

/** True if the path is the network namespace that this thread is in already. Throws ENOENT. */
export function isOwnNetworkNamespace(path: string): boolean {
  const [asked, own] = [statSync(path), statSync('/proc/thread-self/ns/net')]
  return asked.dev === own.dev && asked.ino === own.ino
}

/**
 * Runs `act` with the calling thread inside the network namespace at `path` (`/proc/<pid>/ns/net`, or a bind mount of
 * one) and returns what it returned. Sockets opened inside stay in that namespace for good, so `act` opens what it
 * needs and leaves: it must not be asynchronous, or other work of this thread would run in the wrong namespace.
 * Throws ENOENT when there is no such path and `KERNEL` EINVAL when it is no network namespace. See setns(2).
 */
export function inNetworkNamespace<Result>(path: string, act: () => Result): Result {
  const own = openOwnNetworkNamespace()
  try {
    const target = openSync(path, constants.O_RDONLY)
    try {
      setns(target, CLONE_NEWNET)
    } finally {
      closeSync(target)
    }
    try {
      return act()
    } finally {
      comeBack(own)
    }
  } finally {
    closeSync(own)
  }
}

/** A thread that stayed in a container's namespace would do all later work there: there is no going on from that. */
function comeBack(own: number): void {
  try {
    setns(own, CLONE_NEWNET)
  } catch (error) {
    console.error('setns: cannot come back from a network namespace', error)
    process.abort()
  }
}
