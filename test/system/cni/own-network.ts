import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { bind } from '../../../runtime/linux/ffi.ts'
import { inNetworkNamespace } from '../../../runtime/linux/netns.ts'

const CLONE_NEWNET = 0x40000000

/** Moves this thread, and with it the rest of the test file, into a network namespace of its own. */
export function leaveForOwnNetwork(): void {
  bind('int unshare(int flags)')(CLONE_NEWNET)
}

/** A process that only holds a network namespace, like the pause process of a pod. */
export interface Holder {
  netns: string
  /** Runs a program in the namespace; its standard output. Throws when it fails. */
  run(program: string, ...args: string[]): Promise<string>
  start(program: string, ...args: string[]): ChildProcess
  close(): Promise<void>
}

export async function holdNetwork(): Promise<Holder> {
  const child = spawn('unshare', ['-n', 'sleep', '600'], { stdio: 'ignore' })
  const netns = `/proc/${child.pid}/ns/net`
  const own = readlinkSync('/proc/thread-self/ns/net')
  while (readlinkSync(netns) === own) await sleep(2)
  const start = (program: string, ...args: string[]) =>
    inNetworkNamespace(netns, () => spawn(program, args, { stdio: 'pipe' }))
  return {
    netns,
    start,
    run: (program, ...args) => outputOf(start(program, ...args), `${program} ${args.join(' ')}`),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** What a child prints. Throws with what it complained of when it fails. */
export async function outputOf(child: ChildProcess, what: string): Promise<string> {
  let out = ''
  let complaint = ''
  child.stdout?.on('data', (bytes) => (out += String(bytes)))
  child.stderr?.on('data', (bytes) => (complaint += String(bytes)))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${what}: exit ${String(code)}: ${complaint}${out}`)
  return out
}
