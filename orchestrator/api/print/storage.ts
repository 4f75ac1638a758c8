/** Source: k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Column, Printer } from '../kinds/kind.ts'
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  KubeObject,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../types.ts'
import { ageColumn, ageOf, column, nameColumn } from './cells.ts'

const truth = (name: string, description: string): Column => ({ name, type: 'boolean', description })
const nameOf = ({ metadata }: KubeObject) => metadata?.name ?? ''

const shortModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}

/** In a fixed order, each once. */
function modesText(modes: readonly string[] | undefined): string {
  return Object.keys(shortModes)
    .filter((mode) => modes?.includes(mode))
    .map((mode) => shortModes[mode])
    .join(',')
}

const betaClass = 'volume.beta.kubernetes.io/storage-class'
const classOf = (object: KubeObject, name: string | undefined) =>
  object.metadata?.annotations?.[betaClass] ?? name ?? ''

export const persistentVolumePrinter: Printer<PersistentVolume> = {
  columns: [
    nameColumn,
    column('Capacity', 'How much it holds'),
    column('Access Modes', 'How it can be mounted'),
    column('Reclaim Policy', 'What becomes of it when its claim goes'),
    column('Status', 'Whether it is bound'),
    column('Claim', 'Whose it is'),
    column('StorageClass', 'Its class'),
    column('VolumeAttributesClass', 'Its class of attributes'),
    column('Reason', 'Why it is as it is'),
    ageColumn,
    column('VolumeMode', 'Filesystem or block device', 'wide'),
  ],
  cells: (volume, now) => {
    const { spec = {}, status = {} } = volume
    const { claimRef } = spec
    return [
      nameOf(volume),
      spec.capacity?.storage ?? '',
      modesText(spec.accessModes),
      spec.persistentVolumeReclaimPolicy ?? '',
      volume.metadata?.deletionTimestamp ? 'Terminating' : (status.phase ?? ''),
      claimRef ? `${claimRef.namespace}/${claimRef.name}` : '',
      classOf(volume, spec.storageClassName),
      spec.volumeAttributesClassName || '<unset>',
      status.reason ?? '',
      ageOf(volume, now),
      spec.volumeMode ?? '<unset>',
    ]
  },
}

export const persistentVolumeClaimPrinter: Printer<PersistentVolumeClaim> = {
  columns: [
    nameColumn,
    column('Status', 'Whether it is bound'),
    column('Volume', 'Its volume'),
    column('Capacity', 'How much it holds'),
    column('Access Modes', 'How it can be mounted'),
    column('StorageClass', 'Its class'),
    column('VolumeAttributesClass', 'Its class of attributes'),
    ageColumn,
    column('VolumeMode', 'Filesystem or block device', 'wide'),
  ],
  cells: (claim, now) => {
    const { spec = {}, status = {} } = claim
    const isBound = Boolean(spec.volumeName)
    return [
      nameOf(claim),
      claim.metadata?.deletionTimestamp ? 'Terminating' : (status.phase ?? ''),
      spec.volumeName ?? '',
      isBound ? (status.capacity?.storage ?? '0') : '',
      isBound ? modesText(status.accessModes) : '',
      classOf(claim, spec.storageClassName),
      spec.volumeAttributesClassName || '<unset>',
      ageOf(claim, now),
      spec.volumeMode ?? '<unset>',
    ]
  },
}

const defaultClass = 'storageclass.kubernetes.io/is-default-class'

export const storageClassPrinter: Printer<StorageClass> = {
  columns: [
    nameColumn,
    column('Provisioner', 'Who makes its volumes'),
    column('ReclaimPolicy', 'What becomes of them when their claims go'),
    column('VolumeBindingMode', 'When a volume is chosen'),
    truth('AllowVolumeExpansion', 'Whether they can grow'),
    ageColumn,
  ],
  cells: (storage, now) => [
    storage.metadata?.annotations?.[defaultClass] === 'true' ? `${nameOf(storage)} (default)` : nameOf(storage),
    storage.provisioner,
    storage.reclaimPolicy ?? 'Delete',
    storage.volumeBindingMode ?? 'Immediate',
    storage.allowVolumeExpansion ?? false,
    ageOf(storage, now),
  ],
}

export const volumeAttachmentPrinter: Printer<VolumeAttachment> = {
  columns: [
    nameColumn,
    column('Attacher', 'Who attaches it'),
    column('PV', 'The volume'),
    column('Node', 'The node'),
    truth('Attached', 'Whether it is attached'),
    ageColumn,
  ],
  cells: (attachment, now) => [
    nameOf(attachment),
    attachment.spec.attacher,
    attachment.spec.source.persistentVolumeName ?? '',
    attachment.spec.nodeName,
    attachment.status?.attached ?? false,
    ageOf(attachment, now),
  ],
}

export const csiDriverPrinter: Printer<CSIDriver> = {
  columns: [
    nameColumn,
    truth('AttachRequired', 'Whether volumes are attached before they are mounted'),
    truth('PodInfoOnMount', 'Whether it is told of the pod'),
    truth('StorageCapacity', 'Whether it tells how much room there is'),
    column('TokenRequests', 'For whom it wants tokens'),
    truth('RequiresRepublish', 'Whether it is called again and again'),
    column('Modes', 'Which volumes it knows'),
    ageColumn,
  ],
  cells: (driver, now) => [
    nameOf(driver),
    driver.spec.attachRequired ?? true,
    driver.spec.podInfoOnMount ?? false,
    driver.spec.storageCapacity ?? false,
    driver.spec.tokenRequests?.map(({ audience }) => audience).join(',') || '<unset>',
    driver.spec.requiresRepublish ?? false,
    driver.spec.volumeLifecycleModes?.join(',') || '<none>',
    ageOf(driver, now),
  ],
}

export const csiNodePrinter: Printer<CSINode> = {
  columns: [nameColumn, { name: 'Drivers', type: 'integer', description: 'How many drivers run there' }, ageColumn],
  cells: (node, now) => [nameOf(node), node.spec.drivers.length, ageOf(node, now)],
}

export const csiStorageCapacityPrinter: Printer<CSIStorageCapacity> = {
  columns: [nameColumn, column('StorageClassName', 'For which class'), column('Capacity', 'How much room there is')],
  cells: (found) => [nameOf(found), found.storageClassName, found.capacity ?? '<unset>'],
}

export const volumeAttributesClassPrinter: Printer<VolumeAttributesClass> = {
  columns: [nameColumn, column('DriverName', 'Whose attributes they are'), ageColumn],
  cells: (attributes, now) => [nameOf(attributes), attributes.driverName, ageOf(attributes, now)],
}
