import { once } from 'node:events'
import { Command, Option } from 'commander'
import { checkDnsSubdomain } from '../orchestrator/api/names.ts'
import { CoracleError, errnoOf, messageOf } from '../runtime/base/errors.ts'
import { isInChroot } from '../runtime/linux/host.ts'
import { openNftables } from '../runtime/linux/nftables.ts'
import { type AuthFlags, addAuthOptions, authOptions } from './auth-flags.ts'
import { type DataDir, dataDir, defaultDataDir, lockDataDir, readNote } from './data-dir.ts'
import { type DemoOptions, demo } from './demo.ts'
import { fileLog } from './file-log.ts'
import { addKeyOptions, type KeyFlags, sharedKeysOf } from './key-flags.ts'
import { networkConfig } from './network-config.ts'
import { defaultNodeName, type RunningNode, startNode } from './node.ts'
import { addHandlerOptions, type HandlerFlags, runtimeHandlersOf } from './runtime-handlers.ts'
import { printedSteps } from './steps.ts'
import { addStoreOptions, type StoreFlags, storeChoice, storeFlagsOf } from './store-flags.ts'
import { version } from './version.ts'

export interface UpFlags extends StoreFlags, AuthFlags, KeyFlags, HandlerFlags {
  dataDir: string
  listen: string
  nodeName?: string
  podCidr?: string
  kubeletPort: string
  demo?: string
}

/** `coracle up`: an all-in-one node in the foreground. */
export function upCommand(): Command {
  return addHandlerOptions(addKeyOptions(addAuthOptions(addStoreOptions(new Command('up')))))
    .description('start an all-in-one node (API server, scheduler, controllers, agent) in the foreground')
    .option('--data-dir <dir>', 'everything that the node keeps', defaultDataDir)
    .option('--listen <host:port>', 'where the API server listens', '127.0.0.1:6443')
    .option('--node-name <name>', "the node's name; this machine's unless given")
    .option('--pod-cidr <cidr>', 'addresses for pods; 10.244.0.0/24 unless given')
    .option('--kubelet-port <port>', "the agent's own port; 0 takes any free one", '10250')
    .addOption(new Option('--demo <file>', 'apply this file and show what becomes of it').hideHelp())
    .action(up)
}

/** Runs until SIGINT or SIGTERM; the pods outlive it. */
async function up(flags: UpFlags): Promise<void> {
  const directory = dataDir(flags.dataDir)
  const wanted = {
    listen: parseListen(flags.listen),
    kubeletPort: parsePort(flags.kubeletPort),
    store: storeFlagsOf(flags),
    auth: flags,
    keys: flags,
    runtimeHandlers: runtimeHandlersOf(flags),
  }
  storeChoice(flags)
  authOptions(flags)
  sharedKeysOf(flags)
  mustBeRoot()
  // Pods have no network without it: better said now than at the first of them.
  openNftables().close()
  const stop = untilSignal()
  const lock = await lockDataDir(directory)
  const nodeName = await nameOfNode(directory, flags.nodeName)
  const log = fileLog(directory.log, process.stderr)
  const steps = printedSteps(process.stdout)
  const node = await startNode({
    ...wanted,
    directory,
    nodeName,
    network: await networkConfig(directory, flags.podCidr),
    version: version(),
    log,
    steps,
  }).catch((error: unknown) => {
    throw withHint(error, directory)
  })
  steps.line(`ready after ${steps.elapsed().toFixed(0)} ms. kubeconfig: ${directory.kubeconfig}`)
  if (flags.demo !== undefined) await show(node, { file: flags.demo, directory, steps, signal: stop })
  if (!stop.aborted) await once(stop, 'abort')
  await node.close()
  lock.release()
  steps.line(`stopped. Pods go on running; 'coracle up' takes them over, 'coracle down' removes them.`)
  log.close()
}

/** What the example does is no reason to end the node. */
async function show(node: RunningNode, options: DemoOptions): Promise<void> {
  try {
    await demo(node, options)
  } catch (error) {
    if (!options.signal.aborted) options.steps.line(`the example failed: ${messageOf(error)}`)
  }
}

/** Aborted by the first SIGINT or SIGTERM; the next one of either ends the process at once. */
function untilSignal(): AbortSignal {
  const controller = new AbortController()
  const signals = ['SIGINT', 'SIGTERM'] as const
  const stop = () => {
    for (const signal of signals) process.removeListener(signal, stop)
    controller.abort()
  }
  for (const signal of signals) process.on(signal, stop)
  return controller.signal
}

/**
 * A data directory belongs to one node: pods that are bound to another name would wait for ever. So its name stays,
 * whatever this machine is called now, until `down`.
 */
async function nameOfNode(directory: DataDir, asked: string | undefined): Promise<string> {
  const before = (await readNote(directory))?.nodeName
  const name = asked ?? before ?? defaultNodeName()
  if (before !== undefined && name !== before) {
    throw new CoracleError(`--node-name ${name}: ${directory.root} belongs to node ${before}`, {
      code: 'BAD_FLAG',
      hint: `'coracle down' gives it free`,
    })
  }
  const [wrong] = checkDnsSubdomain(name)
  if (wrong !== undefined) throw new CoracleError(`--node-name ${name}: ${wrong}`, { code: 'BAD_FLAG' })
  return name
}

function withHint(error: unknown, { root }: DataDir): unknown {
  const hints: Readonly<Record<string, string>> = {
    EADDRINUSE: 'choose others with --listen and --kubelet-port',
    ENOSPC: `is there room in ${root}?`,
  }
  const hint = hints[errnoOf(error) ?? '']
  return hint === undefined ? error : new CoracleError(messageOf(error), { code: 'NODE_START', hint, cause: error })
}

function mustBeRoot(): void {
  if (process.getuid?.() !== 0) {
    throw new CoracleError('up: namespaces, cgroups and mounts need root', {
      code: 'NOT_ROOT',
      hint: 'run it with sudo',
    })
  }
  if (isInChroot()) {
    throw new CoracleError('up: this is a chroot, and containers could leave it', {
      code: 'NODE_START',
      hint: 'enter the folder with pivot_root in a mount namespace of its own, or run it on the machine itself',
    })
  }
}

function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new CoracleError(`--kubelet-port ${text}: not a port`, { code: 'BAD_FLAG' })
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) throw new CoracleError(`--listen ${text}: not HOST:PORT`, { code: 'BAD_FLAG' })
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port }
}
