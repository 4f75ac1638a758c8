/** Source: k8s.io/kubernetes/pkg/apis/storage/validation/validation.go. */
import { isEqual } from '../equal.ts'
import { checkQualifiedName } from '../names.ts'
import { compareQuantities, parseQuantity } from '../quantity.ts'
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../types.ts'
import {
  allOf,
  duplicates,
  eachItem,
  invalidName,
  invalidValue,
  none,
  notAllowed,
  type Problem,
  required,
  tooLongValue,
  unsupported,
} from './problem.ts'
import { validateSelector } from './selector.ts'

const mostParameters = 512
const longestParameters = 256 * 1024
const immutable = 'field is immutable'

function validateProvisioner(name: string | undefined, field: string): readonly Problem[] {
  return name ? invalidName(field, name, checkQualifiedName(name.toLowerCase())) : [required(field, name ?? '')]
}

function validateParameters(parameters: Readonly<Record<string, string>> | undefined): readonly Problem[] {
  const entries = Object.entries(parameters ?? {})
  const bytes = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  return allOf(
    entries.length > mostParameters ? [tooLongValue('parameters', mostParameters)] : none,
    entries.some(([key]) => key === '') ? [invalidValue('parameters', '', 'field can not be empty.')] : none,
    bytes > longestParameters ? [tooLongValue('parameters', longestParameters)] : none,
  )
}

/** What is wrong with a StorageClass. */
export function validateStorageClass(storage: StorageClass): readonly Problem[] {
  const { provisioner, parameters, reclaimPolicy = '', volumeBindingMode, allowedTopologies } = storage
  const modes = ['Immediate', 'WaitForFirstConsumer']
  return allOf(
    validateProvisioner(provisioner, 'provisioner'),
    validateParameters(parameters),
    reclaimPolicy && !['Delete', 'Retain'].includes(reclaimPolicy)
      ? [unsupported('reclaimPolicy', reclaimPolicy, ['Delete', 'Retain'])]
      : none,
    volumeBindingMode === undefined
      ? [required('volumeBindingMode')]
      : modes.includes(volumeBindingMode)
        ? none
        : [unsupported('volumeBindingMode', volumeBindingMode, modes)],
    eachItem(allowedTopologies, 'allowedTopologies', ({ matchLabelExpressions }, at) =>
      eachItem(matchLabelExpressions, `${at}.matchLabelExpressions`, ({ key, values }, each) =>
        allOf(
          invalidName(`${each}.key`, key, checkQualifiedName(key)),
          values.length > 0 ? none : [required(`${each}.values`)],
        ),
      ),
    ),
  )
}

/** What an update of a StorageClass may not do: its volumes were made by what it said. */
export function validateStorageClassUpdate(next: StorageClass, old: StorageClass): readonly Problem[] {
  return allOf(
    isEqual(next.parameters, old.parameters)
      ? none
      : [notAllowed('parameters', 'updates to parameters are forbidden.')],
    next.provisioner === old.provisioner ? none : [notAllowed('provisioner', 'updates to provisioner are forbidden.')],
    next.reclaimPolicy === old.reclaimPolicy
      ? none
      : [notAllowed('reclaimPolicy', 'updates to reclaimPolicy are forbidden.')],
    next.volumeBindingMode === old.volumeBindingMode
      ? none
      : [invalidValue('volumeBindingMode', next.volumeBindingMode ?? null, immutable)],
  )
}

/** What is wrong with a VolumeAttachment. */
export function validateVolumeAttachment({ spec }: VolumeAttachment): readonly Problem[] {
  const { attacher, nodeName, source } = spec
  const names = [source?.persistentVolumeName, source?.inlineVolumeSpec].filter((each) => each !== undefined)
  return allOf(
    validateProvisioner(attacher, 'spec.attacher'),
    nodeName ? none : [required('spec.nodeName')],
    names.length === 0
      ? [required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName')]
      : none,
    names.length > 1
      ? [notAllowed('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName')]
      : none,
  )
}

/** What an update of a VolumeAttachment may not do. */
export function validateVolumeAttachmentUpdate({ spec }: VolumeAttachment, old: VolumeAttachment): readonly Problem[] {
  return isEqual(spec, old.spec) ? [] : [invalidValue('spec', spec, immutable)]
}

/** The name of a CSI driver, at most 63 characters. */
function validateDriverName(name: string, field: string): readonly Problem[] {
  if (!name) return [required(field)]
  return name.length > 63 ? [tooLongValue(field, 63)] : invalidName(field, name, checkQualifiedName(name.toLowerCase()))
}

/** What is wrong with a CSIDriver. */
export function validateCsiDriver({ metadata, spec }: CSIDriver): readonly Problem[] {
  const modes = ['Ephemeral', 'Persistent']
  const policies = ['File', 'None', 'ReadWriteOnceWithFSType']
  const policy = spec.fsGroupPolicy
  return allOf(
    validateDriverName(metadata?.name ?? '', 'metadata.name'),
    spec.attachRequired === undefined ? [required('spec.attachedRequired')] : none,
    policy !== undefined && !policies.includes(policy) ? [unsupported('spec.fsGroupPolicy', policy, policies)] : none,
    eachItem(spec.volumeLifecycleModes, 'spec.volumeLifecycleModes', (mode) =>
      modes.includes(mode) ? none : [unsupported('spec.volumeLifecycleModes', mode, modes)],
    ),
    duplicates(
      spec.tokenRequests,
      ({ audience }) => audience,
      (at) => `spec.tokenRequests[${at}].audience`,
    ),
  )
}

/** What is wrong with a CSINode. */
export function validateCsiNode({ spec }: CSINode): readonly Problem[] {
  return allOf(
    eachItem(spec.drivers, 'spec.drivers', ({ name, nodeID, topologyKeys }, at) =>
      allOf(
        validateDriverName(name, `${at}.name`),
        nodeID ? none : [required(`${at}.nodeID`)],
        eachItem(topologyKeys, `${at}.topologyKeys`, (key, each) => invalidName(each, key, checkQualifiedName(key))),
      ),
    ),
    duplicates(
      spec.drivers,
      ({ name }) => name,
      (at) => `spec.drivers[${at}].name`,
    ),
  )
}

/** What is wrong with a CSIStorageCapacity. */
export function validateStorageCapacity(found: CSIStorageCapacity): readonly Problem[] {
  const amounts = ['capacity', 'maximumVolumeSize'] as const
  return allOf(
    found.storageClassName ? none : [required('storageClassName')],
    validateSelector(found.nodeTopology, 'nodeTopology'),
    amounts.flatMap((name) => {
      const amount = found[name]
      const isNegative = amount !== undefined && compareQuantities(parseQuantity(amount), parseQuantity('0')) < 0
      return isNegative ? [invalidValue(name, amount, 'must be greater than or equal to 0')] : []
    }),
  )
}

/** What an update of a CSIStorageCapacity may not do. */
export function validateStorageCapacityUpdate(next: CSIStorageCapacity, old: CSIStorageCapacity): readonly Problem[] {
  return (['nodeTopology', 'storageClassName'] as const)
    .filter((name) => !isEqual(next[name], old[name]))
    .map((name) => invalidValue(name, next[name] ?? null, immutable))
}

/** What is wrong with a VolumeAttributesClass. */
export function validateVolumeAttributesClass({ driverName, parameters }: VolumeAttributesClass): readonly Problem[] {
  return allOf(
    validateProvisioner(driverName, 'driverName'),
    Object.keys(parameters ?? {}).length === 0
      ? [required('parameters', 'must contain at least one key/value pair')]
      : validateParameters(parameters),
  )
}

/** What an update of a VolumeAttributesClass may not do. */
export function validateVolumeAttributesClassUpdate(
  next: VolumeAttributesClass,
  old: VolumeAttributesClass,
): readonly Problem[] {
  return allOf(
    next.driverName === old.driverName ? none : [notAllowed('driverName', 'updates to driverName are forbidden.')],
    isEqual(next.parameters, old.parameters)
      ? none
      : [notAllowed('parameters', 'updates to parameters are forbidden.')],
  )
}
