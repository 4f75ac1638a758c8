import { recordSandbox } from '../birth/sandbox.ts'
import { cgroups } from '../cgroups/driver.ts'
import { emptyFolderOf } from '../launcher/records.ts'
import { checkMappings } from '../spec/id-mappings.ts'
import type { LinuxResources, OciIdMapping } from '../spec/types.ts'
import { cgroupPathOf } from './cgroup-path.ts'
import { checkId } from './container-folder.ts'
import { bear, emptyRecord } from './create.ts'
import { containerError } from './errors.ts'
import type { Workplace } from './player.ts'
import type { ContainerState } from './state.ts'

export interface SandboxOptions {
  id: string
  hostname: string
  /** Relative to the root of the hierarchies. The sandbox' own process lives in a group below it. */
  cgroupPath: string
  resources?: LinuxResources
  sysctls?: Record<string, string>
  hostNetwork?: boolean
  hostPid?: boolean
  hostIpc?: boolean
  /** The pod gets a user namespace, to which its other new namespaces belong; containers join it by path. */
  userNamespace?: { uidMappings: OciIdMapping[]; gidMappings: OciIdMapping[] }
  annotations?: Record<string, string>
}

/** Starts a pod's own process, which holds its namespaces; they are `/proc/<pid>/ns/*`. */
export async function createSandbox(place: Workplace, options: SandboxOptions): Promise<ContainerState> {
  const { id, resources = {}, annotations = {}, hostname, sysctls = {} } = options
  checkId(id)
  const { hostNetwork = false, hostPid = false, hostIpc = false } = options
  for (const [kind, mappings] of Object.entries(options.userNamespace ?? {})) checkMappings(kind, mappings)
  const cgroupPath = `${cgroupPathOf(options.cgroupPath, id)}/${id}`
  const record = { ...emptyRecord(id, 'sandbox', place), annotations, cgroupPath }
  const recordTape = () =>
    recordSandbox({
      hostname,
      sysctls,
      hostNetwork,
      hostPid,
      hostIpc,
      userNamespace: options.userNamespace,
      cgroup: cgroups().membership(cgroupPath),
      emptyFolder: emptyFolderOf(place.root),
    })
  const atGate = () => Promise.reject(containerError('WRONG_STATE', `create ${id}: a sandbox has no such gate`))
  return bear(place, record, { resources, hasOverlay: false, recordTape, atGate })
}
