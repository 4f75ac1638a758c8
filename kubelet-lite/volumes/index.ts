/** Volumes of a pod that need no storage driver. Each kind is one file; what is not in the table is refused. */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Volume } from '../../orchestrator/api/types.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import { isMountPoint, unmount } from '../../runtime/linux/mount.ts'
import { stepFailed } from '../errors.ts'
import { podDirectory, volumeDirectory } from '../pod-directory.ts'
import { writeAtomically } from './atomic-writer.ts'
import { setUpEmptyDir } from './empty-dir.ts'
import { setUpHostPath } from './host-path.ts'
import { kindOf, type VolumeInput, type VolumeKind } from './kinds.ts'
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

async function setUp(input: VolumeInput, volume: Volume): Promise<string> {
  const kind = kindOf(volume)
  const named = Object.keys(volume).filter((key) => key !== 'name')
  if (!kind) throw stepFailed('FailedMount', `volume type ${named.join(', ') || '(none)'} is not supported`)
  if (kind === 'hostPath') return setUpHostPath(volume.hostPath?.path ?? '', volume.hostPath?.type ?? '')
  const place = volumeDirectory(input.root, input.pod.metadata?.uid ?? '', directoryNames[kind], volume.name)
  await mkdir(place, { recursive: true, mode: 0o755 })
  const fsGroup = input.pod.spec?.securityContext?.fsGroup
  if (kind === 'emptyDir') await setUpEmptyDir(place, volume.emptyDir ?? {}, fsGroup)
  else await writeAtomically(place, await payloadOf(input, volume, kind), fsGroup)
  return place
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
