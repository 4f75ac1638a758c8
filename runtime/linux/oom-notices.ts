import { closeSync, constants, openSync, readSync, watch, writeSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'
import { bind } from './ffi.ts'

const eventfd = bind('int eventfd(unsigned int value, int flags)')
const epollCreate = bind('int epoll_create1(int flags)')
const epollControl = bind('int epoll_ctl(int epoll, int operation, int fd, void *event)')
const epollWait = bind('int epoll_wait(int epoll, void *events, int most, int timeout)')

const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const EPOLLIN = 1
const EPOLL_CLOEXEC = 0o2000000
const EFD_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000
/** struct epoll_event is packed on x86-64 alone. */
const dataOffset = process.arch === 'x64' ? 4 : 8
const one = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
const eventBytes = process.arch === 'x64' ? 12 : 16

/**
 * Calls `tell` when memory ran out in a v1 group (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control"): an
 * eventfd that is named in cgroup.event_control. Returns how to stop. Throws `KERNEL` or the errno of a file.
 */
export function watchOomV1(folder: string, tell: () => void): () => void {
  const event = eventfd(0, EFD_CLOEXEC_NONBLOCK)
  try {
    const control = openSync(`${folder}/memory.oom_control`, 'r')
    const register = openSync(`${folder}/cgroup.event_control`, 'w')
    try {
      writeSync(register, `${event} ${control}`)
    } finally {
      closeSync(register)
      closeSync(control)
    }
    return onReadable(event, tell)
  } catch (error) {
    closeSync(event)
    throw error
  }
}

/** Calls `tell` when memory.events of a v2 group has changed (inotify(7); cgroup-v2.rst). Returns how to stop. */
export function watchOomV2(folder: string, tell: () => void): () => void {
  const watcher = watch(`${folder}/memory.events`, { persistent: false }, tell)
  // The group is gone: there is nothing more to tell.
  watcher.on('error', () => watcher.close())
  return () => watcher.close()
}

const listeners = new Map<number, () => void>()
/** The epoll, and an eventfd in it that ends the waiting. */
let watched: { epoll: number; wake: number } | undefined
let isWaiting = false

/** One descriptor for all, and one thread that waits for it as long as anything is registered. */
function onReadable(fd: number, tell: () => void): () => void {
  watched ??= openEpoll()
  const { epoll, wake } = watched
  epollControl(epoll, EPOLL_CTL_ADD, fd, interestIn(fd))
  listeners.set(fd, tell)
  if (!isWaiting) void waitForEvents(epoll)
  return () => {
    if (!listeners.delete(fd)) return
    epollControl(epoll, EPOLL_CTL_DEL, fd, interestIn(fd))
    closeSync(fd)
    if (listeners.size === 0) writeSync(wake, one)
  }
}

function openEpoll(): { epoll: number; wake: number } {
  const epoll = epollCreate(EPOLL_CLOEXEC)
  const wake = eventfd(0, EFD_CLOEXEC_NONBLOCK)
  epollControl(epoll, EPOLL_CTL_ADD, wake, interestIn(wake))
  return { epoll, wake }
}

function interestIn(fd: number): Buffer {
  const interest = Buffer.alloc(eventBytes)
  interest.writeUInt32LE(EPOLLIN, 0)
  interest.writeInt32LE(fd, dataOffset)
  return interest
}

async function waitForEvents(epoll: number): Promise<void> {
  isWaiting = true
  const events = Buffer.alloc(eventBytes * 64)
  const counter = Buffer.alloc(8)
  try {
    while (listeners.size > 0) {
      const ready = await epollWait.async(epoll, events, 64, -1).catch(ignoreInterruption)
      for (let at = 0; at < ready; at++) {
        const fd = events.readInt32LE(at * eventBytes + dataOffset)
        // One that has been let go in this very round may be another file by now.
        if (fd !== watched?.wake && !listeners.has(fd)) continue
        readSync(fd, counter)
        listeners.get(fd)?.()
      }
    }
  } finally {
    isWaiting = false
  }
}

function ignoreInterruption(error: unknown): number {
  if (errnoOf(error) === 'EINTR') return 0
  throw error
}

/** Who was killed for want of memory, by the kernel's own account. */
export interface OomVictim {
  pid: number
  name: string
  /** The group whose limit was hit, from the root of the hierarchy; it may be one above the victim's. */
  limitedBy: string
}

/**
 * The last process that was killed in the group `path` (from the root of the memory hierarchy, `/a/b`), from the
 * kernel's log (/dev/kmsg, dump_tasks and oom_kill_process of mm/oom_kill.c). Undefined where the log cannot be read or
 * has already forgotten.
 */
export function lastOomVictim(path: string): OomVictim | undefined {
  let fd: number
  try {
    fd = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
  const record = Buffer.alloc(8192)
  let victim: OomVictim | undefined
  try {
    for (;;) {
      const text = nextRecord(fd, record)
      if (text === undefined) return victim
      victim = victimOf(text, path) ?? victim
    }
  } finally {
    closeSync(fd)
  }
}

/** One line of the kernel's log about a kill in `path` or below it. */
export function victimOf(text: string, path: string): OomVictim | undefined {
  const found = /oom-kill:.*oom_memcg=([^,]*),task_memcg=([^,]*),task=(.*),pid=(\d+),uid=\d+/.exec(text)
  if (!found) return undefined
  const [, limitedBy = '', group = '', name = '', pid = ''] = found
  return group === path || group.startsWith(`${path}/`) ? { pid: Number(pid), name, limitedBy } : undefined
}

function nextRecord(fd: number, record: Buffer): string | undefined {
  for (;;) {
    try {
      return record.toString('latin1', 0, readSync(fd, record))
    } catch (error) {
      // EPIPE: records were overwritten while we read; the next read goes on behind them.
      if (errnoOf(error) !== 'EPIPE') return undefined
    }
  }
}
