import { realpath, rm } from 'node:fs/promises'
import { Command } from 'commander'
import { openNetwork } from '../cni/index.ts'
import { openImages } from '../images/index.ts'
import { resources } from '../orchestrator/api/resources.ts'
import { startServer } from '../orchestrator/index.ts'
import { systemClock as clock } from '../runtime/base/clock.ts'
import { CoracleError, hasCode, runAll } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { openRuntime } from '../runtime/index.ts'
import { mountsBelow, unmount } from '../runtime/linux/mount.ts'
import { type DataDir, dataDir, defaultDataDir, type Lock, lockDataDir, type NodeNote, readNote } from './data-dir.ts'
import { fileLog } from './file-log.ts'
import { readNetworkConfig } from './network-config.ts'
import { printedSteps } from './steps.ts'
import { storeChoice } from './store-flags.ts'

/** `coracle down`: takes away everything that the node of a data directory put onto this machine. */
export function downCommand(): Command {
  return new Command('down')
    .description(
      "remove every pod, mount, cgroup, link and nft rule of a data directory's node; images and objects stay",
    )
    .option('--data-dir <dir>', 'the data directory', defaultDataDir)
    .action(down)
}

const stopTimeoutMs = 30_000

async function down(flags: { dataDir: string }): Promise<void> {
  const directory = dataDir(flags.dataDir)
  const steps = printedSteps(process.stdout)
  const note = await readNote(directory)
  if (!note) return steps.line(`nothing to do: no node was ever started in ${directory.root}`)
  const lock = await steps.step('stop server and agent', () => stopNode(directory))
  const log = fileLog(directory.log, process.stderr)
  await runAll('down', [
    () =>
      steps
        .step(
          'pods',
          () => removePods(directory, note, log),
          (count) => `${count} removed`,
        )
        .then(() => undefined),
    () => steps.step('containers', () => removeContainers(directory, { log, cgroupRoot: note.cgroupRoot })),
    () => steps.step('network', () => removeNetwork(directory, log)),
    () => steps.step('mounts', () => removeMounts(directory)),
  ])
  await rm(directory.nodeNote, { force: true })
  log.close()
  lock.release()
}

/** Ends the `up` of this data directory if one runs, and takes its place. */
async function stopNode(directory: DataDir): Promise<Lock> {
  const until = clock.now() + stopTimeoutMs
  for (let asked = false; ; ) {
    try {
      return await lockDataDir(directory)
    } catch (error) {
      if (!hasCode(error, 'IN_USE') || clock.now() > until) throw error
      const pid = Number(error.facts.pid)
      if (!asked && pid > 1) process.kill(pid, 'SIGTERM')
      asked = true
      await clock.sleep(50)
    }
  }
}

/**
 * Without their objects the pods do not come back with the next `up`, and a node of another name may take over. A store
 * of its own has no use for any; in one that others use, only what is bound to this node goes.
 */
async function removePods(directory: DataDir, note: NodeNote, log: Log): Promise<number> {
  const { nodeName, store = { store: 'embedded' } } = note
  const listen = { host: '127.0.0.1', port: 0 }
  const server = await startServer({ dataDir: directory.root, store: storeChoice(store), listen, log, clock })
  const isShared = store.store !== 'embedded'
  try {
    const pods = (await server.client.list(resources.pods)).items
    const items = pods.filter(({ spec }) => !isShared || spec?.nodeName === nodeName)
    for (const { metadata } of items) {
      const key = { namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' }
      await server.client.delete(resources.pods, key, { gracePeriodSeconds: 0 })
    }
    for (const { metadata } of (await server.client.list(resources.nodes)).items) {
      if (isShared && metadata?.name !== nodeName) continue
      await server.client.delete(resources.nodes, { name: metadata?.name ?? '' })
    }
    return items.length
  } finally {
    await server.close()
  }
}

async function removeContainers(directory: DataDir, at: { log: Log; cgroupRoot: string }): Promise<void> {
  const runtime = await openRuntime({ root: directory.runtime, log: at.log })
  const images = await openImages({ root: directory.images, log: at.log })
  const { list, clearGroup, shutdownLauncher } = runtime
  await runAll('containers', [
    ...(await list()).map(
      ({ id }) =>
        () =>
          runtime.delete(id, { force: true }),
    ),
    ...(await images.containers()).map((id) => () => images.discard(id)),
    () => clearGroup(at.cgroupRoot),
    () => images.close(),
    () => shutdownLauncher(),
  ])
}

async function removeNetwork(directory: DataDir, log: Log): Promise<void> {
  const conflist = await readNetworkConfig(directory)
  if (conflist === undefined) return
  const network = await openNetwork({ conflist, stateDir: directory.network, pluginDirs: [], log })
  await network.teardown()
}

/** The data directory itself may be a file system of its own: that one is not ours. */
async function removeMounts(directory: DataDir): Promise<void> {
  const root = await realpath(directory.root)
  const ours = () => mountsBelow(root).filter((place) => place !== root)
  for (const place of ours().reverse()) unmount(place, { detach: true })
  for (const name of ['pods', 'logs']) await rm(`${root}/${name}`, { recursive: true, force: true })
  const left = ours()
  if (left.length > 0) throw new CoracleError(`unmount ${left.join(', ')}: still there`, { code: 'LEFT_OVER' })
}
