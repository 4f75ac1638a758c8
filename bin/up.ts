import { Command, Option } from 'commander'
import { CoracleError } from '../runtime/base/errors.ts'
import { dataDir, defaultDataDir, lockDataDir } from './data-dir.ts'
import { demo } from './demo.ts'
import { fileLog } from './file-log.ts'
import { defaultNodeName, startNode } from './node.ts'
import { printedSteps } from './steps.ts'
import { version } from './version.ts'

export interface UpFlags {
  dataDir: string
  listen: string
  nodeName: string
  podCidr: string
  kubeletPort: string
  demo?: string
}

/** `coracle up`: an all-in-one node in the foreground. */
export function upCommand(): Command {
  return new Command('up')
    .description('start an all-in-one node (API server, scheduler, controllers, agent) in the foreground')
    .option('--data-dir <dir>', 'everything that the node keeps', defaultDataDir)
    .option('--listen <host:port>', 'where the API server listens', '127.0.0.1:6443')
    .option('--node-name <name>', "the node's name", defaultNodeName())
    .option('--pod-cidr <cidr>', 'addresses for pods', '10.244.0.0/24')
    .option('--kubelet-port <port>', "the agent's own port; 0 takes any free one", '10250')
    .addOption(new Option('--store <store>', 'where objects are kept').choices(['embedded']).default('embedded'))
    .addOption(new Option('--demo <file>', 'apply this file and show what becomes of it').hideHelp())
    .action(up)
}

/** Runs until SIGINT or SIGTERM; the pods outlive it. */
async function up(flags: UpFlags): Promise<void> {
  const directory = dataDir(flags.dataDir)
  if (process.getuid?.() !== 0) {
    throw new CoracleError('up: namespaces, cgroups and mounts need root', {
      code: 'NOT_ROOT',
      hint: 'run it with sudo',
    })
  }
  const lock = await lockDataDir(directory)
  const log = fileLog(directory.log, process.stderr)
  const steps = printedSteps(process.stdout)
  const stopped = untilSignal()
  const node = await startNode({
    directory,
    listen: parseListen(flags.listen),
    nodeName: flags.nodeName,
    podCidr: flags.podCidr,
    kubeletPort: Number(flags.kubeletPort),
    version: version(),
    log,
    steps,
  })
  steps.line(`ready after ${steps.elapsed().toFixed(0)} ms. kubeconfig: ${directory.kubeconfig}`)
  if (flags.demo !== undefined) await demo(node, { file: flags.demo, directory, steps })
  await stopped
  await node.close()
  lock.release()
  steps.line(`stopped. Pods go on running; 'coracle up' takes them over, 'coracle down' removes them.`)
  log.close()
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) throw new CoracleError(`--listen ${text}: not HOST:PORT`, { code: 'BAD_FLAG' })
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port }
}
