/** Volumes of a pod that need no storage driver. Each kind is one file; what is not in the table is refused. */
import { lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseQuantity, wholeUnits } from '../../orchestrator/api/quantity.ts'
import type { Pod, Volume } from '../../orchestrator/api/types.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import { isMountPoint, mount, unmount } from '../../runtime/linux/mount.ts'
import { stepFailed } from '../errors.ts'
import type { Ending } from '../plan.ts'
import { podDirectory, volumeDirectory } from '../pod-directory.ts'
import { podResources } from '../resources.ts'
import { writeAtomically } from './atomic-writer.ts'
import { setUpEmptyDir } from './empty-dir.ts'
import { setUpHostPath } from './host-path.ts'
import { kindOf, showsObjects, type VolumeInput, type VolumeKind } from './kinds.ts'
import { payloadOf } from './payload.ts'

/**
 * Makes every volume of the pod and says where each one lies. May be repeated; contents of ConfigMaps, Secrets and
 * the downward API are brought up to date. Throws `FailedMount` naming the volume.
 */
export async function setUpVolumes(input: VolumeInput): Promise<Map<string, string>> {
  const places = new Map<string, string>()
  for (const volume of input.pod.spec?.volumes ?? []) {
    try {
      places.set(volume.name, await setUp(input, volume))
    } catch (error) {
      throw stepFailed('FailedMount', error, `MountVolume.SetUp failed for volume "${volume.name}"`)
    }
  }
  return places
}

/** True for a pod whose volumes must be looked at while it runs: they follow objects, or have a limit of their own. */
export function hasLiveVolumes(pod: Pod): boolean {
  return (pod.spec?.volumes ?? []).some((volume) => showsObjects(volume) || limitOnDisk(volume) !== undefined)
}

/** The first emptyDir that holds more than its `sizeLimit`, in the words of upstream's eviction manager. */
export async function overfullVolume(root: string, pod: Pod): Promise<Ending | undefined> {
  for (const volume of pod.spec?.volumes ?? []) {
    const limit = limitOnDisk(volume)
    if (limit === undefined) continue
    const place = volumeDirectory(root, pod.metadata?.uid ?? '', directoryNames.emptyDir, volume.name)
    if ((await bytesIn(place)) <= wholeUnits(parseQuantity(limit))) continue
    return { reason: 'Evicted', message: `Usage of EmptyDir volume "${volume.name}" exceeds the limit "${limit}". ` }
  }
  return undefined
}

/** In memory the kernel holds the limit. */
function limitOnDisk({ emptyDir }: Volume): string | undefined {
  return emptyDir?.medium === 'Memory' ? undefined : (emptyDir?.sizeLimit as string | undefined)
}

/** What the files of a folder take on disk; hard links are counted each time, links are not followed. */
async function bytesIn(folder: string): Promise<number> {
  let total = 0
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) total += await bytesIn(path)
    else
      total += await lstat(path).then(
        ({ blocks }) => blocks * 512,
        () => 0,
      )
  }
  return total
}

async function setUp(input: VolumeInput, volume: Volume): Promise<string> {
  const kind = kindOf(volume)
  const named = Object.keys(volume).filter((key) => key !== 'name')
  if (!kind) throw stepFailed('FailedMount', `volume type ${named.join(', ') || '(none)'} is not supported`)
  if (kind === 'hostPath') return setUpHostPath(volume.hostPath?.path ?? '', volume.hostPath?.type ?? '')
  const place = volumeDirectory(input.root, input.pod.metadata?.uid ?? '', directoryNames[kind], volume.name)
  await mkdir(place, { recursive: true, mode: 0o755 })
  const fsGroup = input.pod.spec?.securityContext?.fsGroup
  if (kind === 'emptyDir') await setUpEmptyDir(place, volume.emptyDir ?? {}, { fsGroup, memoryBytes: memoryOf(input) })
  else {
    const payload = await payloadOf(input, volume, kind)
    if (kind === 'secret' || kind === 'projected') keepInMemory(place)
    await writeAtomically(place, payload, fsGroup)
  }
  return place
}

/** The limit of all containers together, or all that the node has. */
function memoryOf({ pod, node }: VolumeInput): number {
  return Math.min(node.memoryBytes, podResources(pod).memoryLimitBytes || Number.POSITIVE_INFINITY)
}

/** Secrets never reach the node's disk (Kubernetes docs: concepts/configuration/secret). */
function keepInMemory(place: string): void {
  if (isMountPoint(place)) return
  mount({ source: 'tmpfs', target: place, type: 'tmpfs', flags: ['nosuid', 'nodev', 'noexec'], data: 'mode=755' })
}

/** Upstream's names of the plugin directories (`kubernetes.io~empty-dir`). */
const directoryNames: Readonly<Record<Exclude<VolumeKind, 'hostPath'>, string>> = {
  emptyDir: 'empty-dir',
  configMap: 'configmap',
  secret: 'secret',
  downwardAPI: 'downward-api',
  projected: 'projected',
}

/** Unmounts what is mounted below the pod's directory and removes it. Idempotent. */
export async function tearDownPod(root: string, podUid: string): Promise<void> {
  const directory = podDirectory(root, podUid)
  for (const place of await placesOfMounts(directory)) if (isMountPoint(place)) unmount(place, { detach: true })
  try {
    await rm(directory, { recursive: true, force: true })
  } catch (error) {
    throw stepFailed('FailedMount', `remove ${directory}: ${messageOf(error)}`)
  }
}

/** Where a pod's mounts can be: its shared memory, its volumes, and the parts of volumes that were bound apart. */
async function placesOfMounts(directory: string): Promise<string[]> {
  const volumes = await childrenOf([join(directory, 'volumes'), join(directory, 'volume-subpaths')])
  return [join(directory, 'shm'), ...(await childrenOf(volumes))]
}

async function childrenOf(directories: readonly string[]): Promise<string[]> {
  const lists = directories.map(async (directory) => {
    const names = await readdir(directory).catch(() => [])
    return names.map((name) => join(directory, name))
  })
  return (await Promise.all(lists)).flat()
}
