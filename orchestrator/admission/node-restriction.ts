/**
 * A kubelet writes only what is its node's: its own Node, Lease and CSINode, the status of its pods, tokens for them.
 * Source: k8s.io/kubernetes/plugin/pkg/admission/noderestriction/admission.go.
 */
import { isEqual } from '../api/equal.ts'
import { isMirrorPod, mirrorAnnotation, referencesOf } from '../api/pod-references.ts'
import { forbidden } from '../api/status.ts'
import type { KubeObject, Node, Pod, TokenRequest } from '../api/types.ts'
import { nodeOf } from '../api/user.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'
import { labelProblem } from './node-labels.ts'

export interface NodeRestrictionOptions {
  getPod(namespace: string, name: string): Pod | undefined
  getNode(name: string): Node | undefined
  /** For whom tokens are made when nobody says so. */
  readonly audiences: readonly string[]
}

/** A write by a node. `refuse` gives the error to throw. */
interface NodeWrite extends AdmissionRequest {
  readonly node: string
  readonly options: NodeRestrictionOptions
  refuse(reason: string): Error
}

/** By `group/resource`. What is not here a node may write as far as it is authorized. */
const judges: Readonly<Record<string, (write: NodeWrite) => void>> = {
  '/pods': judgePod,
  '/nodes': judgeNode,
  '/persistentvolumeclaims': judgeClaim,
  '/serviceaccounts': judgeToken,
  'coordination.k8s.io/leases': judgeLease,
  'storage.k8s.io/csinodes': judgeCsiNode,
}

export function nodeRestriction(options: NodeRestrictionOptions): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    validate(request) {
      const node = nodeOf(request.user)
      if (node === undefined) return
      const { kind, name, user } = request
      const refuse = (reason: string) => forbidden(kind, name, reason)
      if (node === '') throw refuse(`could not determine node from user ${JSON.stringify(user.name)}`)
      judges[`${kind.group}/${kind.resource}`]?.({ ...request, node, options, refuse })
    },
  }
}

const quoted = (text: string | undefined) => JSON.stringify(text ?? '')

function judgePod(write: NodeWrite): void {
  const { subresource, verb, node, old, object, refuse } = write
  const pod = (old ?? object) as Pod
  if (subresource === 'status') {
    refuseUnlessOwn(write, pod, 'can only update pod status for pods with spec.nodeName set to itself')
    if (!isEqual(object?.metadata?.labels ?? {}, old?.metadata?.labels ?? {})) {
      throw refuse(`node ${quoted(node)} cannot update labels through pod status`)
    }
  } else if (subresource) {
    throw refuse(`unexpected pod subresource ${quoted(subresource)}, only 'status' and 'eviction' are allowed`)
  } else if (verb === 'delete') {
    refuseUnlessOwn(write, pod, 'can only delete pods with spec.nodeName set to itself')
  } else if (verb === 'create') judgeMirrorPod(write, pod)
  else throw refuse(`unexpected operation "UPDATE", node ${quoted(node)} can only create and delete mirror pods`)
}

function refuseUnlessOwn({ node, refuse }: NodeWrite, pod: Pod, rule: string): void {
  if (pod.spec?.nodeName !== node) throw refuse(`node ${quoted(node)} ${rule}`)
}

/** A mirror shows a pod that the node has from a file: it must not get it anything of the cluster. */
function judgeMirrorPod(write: NodeWrite, pod: Pod): void {
  const { metadata = {} } = pod
  const { node, refuse, options } = write
  const own = `node ${quoted(node)}`
  if (!isMirrorPod(pod)) {
    throw refuse(`pod does not have ${quoted(mirrorAnnotation)} annotation, ${own} can only create mirror pods`)
  }
  refuseUnlessOwn(write, pod, 'can only create pods with spec.nodeName set to itself')
  const owners = metadata.ownerReferences ?? []
  const [owner] = owners
  if (owners.length > 1) throw refuse(`${own} can only create pods with a single owner reference set to itself`)
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node) {
    throw refuse(`${own} can only create pods with an owner reference set to itself`)
  }
  if (!owner.controller) throw refuse(`${own} can only create pods with a controller owner reference set to itself`)
  if (owner.blockOwnerDeletion) throw refuse(`${own} must not set blockOwnerDeletion on an owner reference`)
  const uid = options.getNode(node)?.metadata?.uid
  if (owner.uid !== uid) throw refuse(`node ${node} UID mismatch: expected ${owner.uid} got ${uid}`)
  const [used] = referencesOf(pod)
  if (used !== undefined) throw refuse(`${own} can not create pods that reference ${used.split('/')[0]}`)
}

function judgeNode(write: NodeWrite): void {
  const { verb, name, node, refuse } = write
  const object = write.object as Node | undefined
  const old = write.old as Node | undefined
  if (name !== node) throw refuse(`node ${quoted(node)} is not allowed to modify node ${quoted(name)}`)
  if (verb === 'delete' || !object) return
  const problem = labelProblem(object.metadata?.labels ?? {}, old?.metadata?.labels)
  if (problem) throw refuse(`node ${quoted(node)} is not allowed to ${problem}`)
  if (!old) return
  if (!isEqual(object.spec?.taints ?? [], old.spec?.taints ?? [])) {
    throw refuse(`node ${quoted(node)} is not allowed to modify taints`)
  }
  if (!isEqual(object.metadata?.ownerReferences ?? [], old.metadata?.ownerReferences ?? [])) {
    throw refuse(`node ${quoted(node)} is not allowed to modify ownerReferences`)
  }
}

/** Growing a volume ends on its node: capacity and conditions are what it tells. */
function judgeClaim({ subresource, verb, node, object, old, refuse }: NodeWrite): void {
  if (subresource !== 'status' || verb !== 'update') {
    throw refuse(`node ${quoted(node)} is not allowed to modify persistentvolumeclaims but their status`)
  }
  const rest = (claim: KubeObject | undefined) => {
    const { status: _status, metadata, ...fields } = (claim ?? {}) as KubeObject & { status?: unknown }
    const { managedFields: _fields, resourceVersion: _revision, ...kept } = metadata ?? {}
    return { ...fields, kind: '', apiVersion: '', metadata: kept }
  }
  if (!isEqual(rest(object), rest(old))) {
    throw refuse(`node ${quoted(node)} is not allowed to update fields other than status of persistentvolumeclaims`)
  }
}

function judgeLease({ namespace, name, node, refuse }: NodeWrite): void {
  if (namespace !== 'kube-node-lease') {
    throw refuse(`can only access leases in the "kube-node-lease" system namespace`)
  }
  if (name !== node) throw refuse('can only access node lease with the same name as the requesting node')
}

function judgeCsiNode({ name, node, refuse }: NodeWrite): void {
  if (name !== node) throw refuse('can only access CSINode with the same name as the requesting node')
}

/** A token ends with the pod that it was made for, and that pod runs here. */
function judgeToken(write: NodeWrite): void {
  const { subresource, verb, namespace = '', node, options, refuse } = write
  if (subresource !== 'token' || verb !== 'create') return
  const { boundObjectRef, audiences = [] } = (write.object as TokenRequest).spec ?? {}
  const { kind, apiVersion, name = '', uid } = boundObjectRef ?? {}
  if (kind !== 'Pod' || apiVersion !== 'v1' || name === '') throw refuse('node requested token not bound to a pod')
  if (!uid) throw refuse('node requested token with a pod binding without a uid')
  const pod = options.getPod(namespace, name)
  if (!pod) throw refuse(`node requested token bound to a pod that is not there: ${quoted(name)}`)
  if (pod.metadata?.uid !== uid) {
    throw refuse(
      `the UID in the bound object reference (${uid}) does not match the UID in record (${pod.metadata?.uid})`,
    )
  }
  if (pod.spec?.nodeName !== node) throw refuse('node requested token bound to a pod scheduled on a different node')
  const known = [...options.audiences, ...audiencesOf(pod)]
  const foreign = audiences.find((audience) => !known.includes(audience))
  if (foreign !== undefined) {
    throw refuse(
      `audience ${quoted(foreign)} not found in pod spec volume, ${node} is not authorized to request tokens for this audience`,
    )
  }
}

function audiencesOf({ spec }: Pod): string[] {
  const sources = (spec?.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? [])
  return sources.flatMap(({ serviceAccountToken }) => serviceAccountToken?.audience ?? [])
}
