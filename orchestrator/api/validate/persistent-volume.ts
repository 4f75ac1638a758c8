/** PersistentVolumes and their claims. Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { isEqual } from '../equal.ts'
import { checkDnsSubdomain } from '../names.ts'
import { compareQuantities, parseQuantity } from '../quantity.ts'
import type { PersistentVolume, PersistentVolumeClaim } from '../types.ts'
import {
  allOf,
  eachItem,
  invalidName,
  invalidValue,
  none,
  notAllowed,
  type Problem,
  required,
  unsupported,
} from './problem.ts'
import { validateSelector } from './selector.ts'

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']
const volumeModes = ['Block', 'Filesystem']
const reclaimPolicies = ['Delete', 'Recycle', 'Retain']

function validateAccessModes(modes: readonly string[] | undefined, field: string): readonly Problem[] {
  if (!modes?.length) return [required(field, 'at least 1 access mode is required')]
  const alone = modes.includes('ReadWriteOncePod') && modes.length > 1
  return allOf(
    eachItem(modes, field, (mode) => (accessModes.includes(mode) ? none : [unsupported(field, mode, accessModes)])),
    alone ? [notAllowed(field, 'may not use ReadWriteOncePod with other access modes')] : none,
  )
}

function validateCapacity(storage: string | undefined, field: string): readonly Problem[] {
  if (storage === undefined) return [required(field)]
  return parseQuantity(storage).nano > 0n ? [] : [invalidValue(field, storage, 'must be greater than zero')]
}

/** Fields of a volume's spec that are no source. */
const notSources = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
])

type VolumeSpec = NonNullable<PersistentVolume['spec']>

function sourcesOf(spec: VolumeSpec): string[] {
  return Object.keys(spec).filter((name) => !notSources.has(name))
}

/** What is wrong with a PersistentVolume. */
export function validatePersistentVolume({ spec }: PersistentVolume): readonly Problem[] {
  if (!spec) return [required('spec.accessModes')]
  const { capacity, persistentVolumeReclaimPolicy: policy, volumeMode, storageClassName } = spec
  const others = Object.keys(capacity ?? {}).filter((name) => name !== 'storage')
  return allOf(
    validateAccessModes(spec.accessModes, 'spec.accessModes'),
    Object.keys(capacity ?? {}).length === 0
      ? [required('spec.capacity')]
      : validateCapacity(capacity?.storage, 'spec.capacity[storage]'),
    others.map((name) => unsupported('spec.capacity', name, ['storage'])),
    validateSources(spec),
    policy && !reclaimPolicies.includes(policy)
      ? [unsupported('spec.persistentVolumeReclaimPolicy', policy, reclaimPolicies)]
      : none,
    storageClassName
      ? invalidName('spec.storageClassName', storageClassName, checkDnsSubdomain(storageClassName))
      : none,
    volumeMode && !volumeModes.includes(volumeMode) ? [unsupported('spec.volumeMode', volumeMode, volumeModes)] : none,
    validateAffinity(spec),
  )
}

function validateSources(spec: VolumeSpec): readonly Problem[] {
  const [first, ...more] = sourcesOf(spec)
  if (first === undefined) return [required('spec', 'must specify a volume type')]
  return allOf(
    more.map((name) => notAllowed(`spec.${name}`, 'may not specify more than 1 volume type')),
    validateHostPath(spec),
    spec.local && !spec.local.path ? [required('spec.local.path')] : none,
    spec.csi && !spec.csi.driver ? [required('spec.csi.driver')] : none,
    spec.csi && !spec.csi.volumeHandle ? [required('spec.csi.volumeHandle')] : none,
    spec.nfs && !spec.nfs.server ? [required('spec.nfs.server')] : none,
    spec.nfs && !spec.nfs.path.startsWith('/')
      ? [invalidValue('spec.nfs.path', spec.nfs.path, 'must be an absolute path')]
      : none,
  )
}

function validateHostPath({ hostPath, persistentVolumeReclaimPolicy: policy }: VolumeSpec): readonly Problem[] {
  if (!hostPath) return []
  const { path } = hostPath
  const field = 'spec.hostPath.path'
  return allOf(
    path ? none : [required(field)],
    path.split('/').includes('..') ? [invalidValue(field, path, "must not contain '..'")] : none,
    path === '/' && policy === 'Recycle'
      ? [notAllowed('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'")]
      : none,
  )
}

function validateAffinity({ local, nodeAffinity }: VolumeSpec): readonly Problem[] {
  const terms = nodeAffinity?.required?.nodeSelectorTerms
  const field = 'spec.nodeAffinity'
  if (local && !nodeAffinity) return [required(field, 'Local volume requires node affinity')]
  if (!nodeAffinity) return []
  if (!nodeAffinity.required) return [required(`${field}.required`, 'must specify required node constraints')]
  return terms?.length
    ? []
    : [required(`${field}.required.nodeSelectorTerms`, 'must have at least one node selector term')]
}

/** What an update of a PersistentVolume may not do: what is behind it stays. */
export function validatePersistentVolumeUpdate({ spec }: PersistentVolume, old: PersistentVolume): readonly Problem[] {
  const source = (each: VolumeSpec | undefined) =>
    Object.fromEntries(sourcesOf(each ?? {}).map((name) => [name, each?.[name as keyof VolumeSpec]]))
  return allOf(
    isEqual(source(spec), source(old.spec))
      ? none
      : [notAllowed('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation')],
    spec?.volumeMode === old.spec?.volumeMode
      ? none
      : [invalidValue('spec.volumeMode', spec?.volumeMode ?? null, 'field is immutable')],
    old.spec?.nodeAffinity && !isEqual(spec?.nodeAffinity, old.spec.nodeAffinity)
      ? [invalidValue('spec.nodeAffinity', spec?.nodeAffinity ?? null, 'field is immutable')]
      : none,
  )
}

type ClaimSpec = NonNullable<PersistentVolumeClaim['spec']>

/** What is wrong with a PersistentVolumeClaim. */
export function validatePersistentVolumeClaim({ spec }: PersistentVolumeClaim): readonly Problem[] {
  return spec ? validateClaimSpec(spec, 'spec') : [required('spec.accessModes')]
}

/** The same of a claim within something else. */
export function validateClaimSpec(spec: ClaimSpec, field: string): readonly Problem[] {
  const { selector, storageClassName, volumeMode, resources, dataSource } = spec
  return allOf(
    validateSelector(selector, `${field}.selector`),
    validateAccessModes(spec.accessModes, `${field}.accessModes`),
    validateCapacity(resources?.requests?.storage, `${field}.resources[storage]`),
    storageClassName
      ? invalidName(`${field}.storageClassName`, storageClassName, checkDnsSubdomain(storageClassName))
      : none,
    volumeMode && !volumeModes.includes(volumeMode)
      ? [unsupported(`${field}.volumeMode`, volumeMode, volumeModes)]
      : none,
    dataSource && !dataSource.name ? [required(`${field}.dataSource.name`)] : none,
    dataSource && !dataSource.kind ? [required(`${field}.dataSource.kind`)] : none,
  )
}

const fixedText =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'

/** What an update of a claim may not do: it only grows, once it is bound. */
export function validateClaimUpdate({ spec }: PersistentVolumeClaim, old: PersistentVolumeClaim): readonly Problem[] {
  const before = old.spec
  if (!spec || !before) return []
  const isBound = old.status?.phase === 'Bound'
  const comparable = (each: ClaimSpec) => ({
    ...each,
    volumeName: before.volumeName ? each.volumeName : undefined,
    volumeAttributesClassName: undefined,
    ...(isBound ? { resources: { ...each.resources, requests: { ...each.resources?.requests, storage: '' } } } : {}),
  })
  const problems = isEqual(comparable(spec), comparable(before)) ? [] : [notAllowed('spec', fixedText)]
  const [now, earlier] = [spec.resources?.requests?.storage, before.resources?.requests?.storage]
  const isLess =
    now !== undefined && earlier !== undefined && compareQuantities(parseQuantity(now), parseQuantity(earlier)) < 0
  return isBound && isLess
    ? [...problems, notAllowed('spec.resources.requests.storage', 'field can not be less than status.capacity')]
    : problems
}
