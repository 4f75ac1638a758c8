/** Pods that come from files of the node itself (Kubernetes docs: tasks/configure-pod-container/static-pod). */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { podKind } from '../orchestrator/api/kinds/pod.ts'
import { decodeObject } from '../orchestrator/api/schema/decode.ts'
import type { Pod } from '../orchestrator/api/types.ts'
import { validateMetadata } from '../orchestrator/api/validate/metadata.ts'
import { messageOf } from '../runtime/base/errors.ts'

export interface StaticPods {
  /** By UID. */
  pods: Map<string, Pod>
  /** What is wrong, by file. */
  problems: Map<string, string>
}

/** All manifests of a folder. A file that is broken keeps no other one from being read. */
export async function readStaticPods(folder: string, nodeName: string): Promise<StaticPods> {
  const found: StaticPods = { pods: new Map(), problems: new Map() }
  for (const name of (await readdir(folder)).filter((each) => /^[^.].*\.(ya?ml|json)$/.test(each)).sort()) {
    try {
      const pods = parseManifest(await readFile(join(folder, name), 'utf8'), nodeName)
      for (const pod of pods) found.pods.set(pod.metadata?.uid ?? '', pod)
    } catch (error) {
      found.problems.set(name, messageOf(error))
    }
  }
  return found
}

/**
 * Static pods are named after the node; their UID is a hash of the manifest, so that a changed one is another pod
 * (upstream: pkg/kubelet/config/common.go). They are decoded, defaulted and validated like those that the API server
 * gets. Throws with the field that is wrong.
 */
export function parseManifest(text: string, nodeName: string): Pod[] {
  return parseAllDocuments(text).map((document, index) => {
    if (document.errors[0]) throw document.errors[0]
    const parsed = document.toJS() as { kind?: unknown; apiVersion?: unknown } | null
    if (parsed?.kind !== 'Pod' || parsed.apiVersion !== 'v1') {
      throw new Error(`apiVersion ${parsed?.apiVersion}, kind ${parsed?.kind}: only a Pod of v1 can be static`)
    }
    const { value, unknownFields } = decodeObject(podKind.definition, parsed)
    if (unknownFields.length > 0) throw new Error(unknownFields.join(', '))
    return staticPod(value as Pod, { nodeName, uid: hash(`${nodeName}\0${index}\0${text}`) })
  })
}

function staticPod(written: Pod, { nodeName, uid }: { nodeName: string; uid: string }): Pod {
  if (!written.metadata?.name) throw new Error('metadata.name: Required value')
  const name = `${written.metadata.name}-${nodeName}`
  const metadata = { ...written.metadata, name, namespace: written.metadata.namespace ?? 'default', uid }
  const pod = { ...written, metadata, spec: { ...written.spec, nodeName } } as Pod
  podKind.strategy.setDefaults?.(pod)
  const problems = [...validateMetadata(podKind, pod), ...(podKind.strategy.validate?.(pod) ?? []), ...needsServer(pod)]
  if (problems.length === 0) return pod
  throw new Error(problems.map(({ field, message }) => `${field}: ${message}`).join('; '))
}

/** A node starts its static pods before, or without, a server to ask for other objects. */
function needsServer({ spec }: Pod): { field: string; message: string }[] {
  const message = 'Forbidden: a static pod may not refer to other objects of the API'
  const fields = (spec?.volumes ?? []).filter(
    (volume) => volume.configMap || volume.secret || volume.persistentVolumeClaim,
  )
  return [
    ...(spec?.serviceAccountName ? [{ field: 'spec.serviceAccountName', message }] : []),
    ...fields.map(({ name }) => ({ field: `spec.volumes[${name}]`, message })),
  ]
}

/** Shaped as a UUID: clients expect one. */
function hash(text: string): string {
  const digits = createHash('sha256').update(text).digest('hex')
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20, 32),
  ].join('-')
}
