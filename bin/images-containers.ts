/** Which container a user means, and its process. */
import { join } from 'node:path'
import type { Images } from '../images/index.ts'
import { CoracleError, errnoOf } from '../runtime/base/errors.ts'
import { type ContainerState, listStates } from '../runtime/container/state.ts'

export interface FoundContainer {
  id: string
  /** While it lives. */
  pid: number | undefined
  state: ContainerState | undefined
}

/**
 * A container by its id, the beginning of it, or `[namespace/]pod[/container]`. Throws `NOT_FOUND` also for names that
 * several containers fit.
 */
export async function findContainer(images: Images, dataDir: string, name: string): Promise<FoundContainer> {
  const runtime = join(dataDir, 'runtime')
  const states = new Map(statesIn(runtime).map((state) => [state.id, state]))
  const ids = await images.containers()
  const byId = ids.includes(name) ? [name] : ids.filter((id) => name.length >= 3 && id.startsWith(name))
  const found = byId.length > 0 ? byId : ids.filter((id) => isNamed(states, id, name))
  const [id, ...others] = found
  if (id === undefined) throw new CoracleError(`find container ${name}: there is none`, { code: 'NOT_FOUND' })
  if (others.length > 0) {
    throw new CoracleError(`find container ${name}: it may be ${found.join(' or ')}`, { code: 'NOT_FOUND' })
  }
  const state = states.get(id)
  return { id, pid: state?.pid, state }
}

function statesIn(runtime: string): ContainerState[] {
  try {
    return listStates(runtime)
  } catch (error) {
    // No node has ever run here.
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

function isNamed(states: ReadonlyMap<string, ContainerState>, id: string, name: string): boolean {
  const annotations = states.get(id)?.annotations ?? {}
  const [container, sandboxId] = [
    annotations['io.kubernetes.container.name'],
    annotations['io.kubernetes.cri.sandbox-id'],
  ]
  const pod = states.get(sandboxId ?? '')?.annotations ?? {}
  const [namespace, podName] = [pod['io.kubernetes.pod.namespace'], pod['io.kubernetes.pod.name']]
  if (podName === undefined) return false
  const forms = [podName, `${podName}/${container}`, `${namespace}/${podName}`, `${namespace}/${podName}/${container}`]
  return forms.includes(name)
}
