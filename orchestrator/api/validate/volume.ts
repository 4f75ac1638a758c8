/** Volumes and their mounts. Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { checkConfigKey, checkDnsLabel } from '../names.ts'
import { parseQuantity } from '../quantity.ts'
import type { Container, Volume, VolumeMount } from '../types.ts'
import { validateFieldRef, validateResourceRef, volumeFields } from './environment.ts'
import { validateLocalPath, validateMode } from './numbers.ts'
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
  unresolved,
  unsupported,
} from './problem.ts'

type Projection = NonNullable<NonNullable<Volume['projected']>['sources']>[number]
type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number]
type HostPath = NonNullable<Volume['hostPath']>
type KeyToPath = NonNullable<NonNullable<Volume['configMap']>['items']>[number]

/** What is wrong with a pod's volumes. */
export function validateVolumes(volumes: readonly Volume[] | undefined, field: string): readonly Problem[] {
  return allOf(
    eachItem(volumes, field, (volume, at) => allOf(validateName(volume, at), validateSource(volume, at))),
    duplicates(
      volumes,
      ({ name }) => name,
      (at) => `${field}[${at}].name`,
    ),
  )
}

function validateName({ name }: Volume, field: string): readonly Problem[] {
  return name ? invalidName(`${field}.name`, name, checkDnsLabel(name)) : [required(`${field}.name`)]
}

function validateSource(volume: Volume, field: string): readonly Problem[] {
  const types = Object.keys(volume).filter((key) => key !== 'name')
  if (types.length === 0) return [required(field, 'must specify a volume type')]
  return allOf(surplusOf(types, field, 'may not specify more than 1 volume type'), validateType(volume, field))
}

/** Of things that exclude each other, all but the first. */
function surplusOf(names: readonly string[], field: string, reason: string): readonly Problem[] {
  return names.length < 2 ? none : names.slice(1).map((name) => notAllowed(`${field}.${name}`, reason))
}

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
]

function validateType(volume: Volume, field: string): readonly Problem[] {
  const { hostPath, emptyDir, configMap, secret, downwardAPI, projected, persistentVolumeClaim } = volume
  return allOf(
    hostPath ? validateHostPath(hostPath, `${field}.hostPath`) : none,
    emptyDir?.sizeLimit && parseQuantity(emptyDir.sizeLimit).nano < 0n
      ? [notAllowed(`${field}.emptyDir.sizeLimit`, 'SizeLimit field must be a valid resource quantity')]
      : none,
    configMap ? validateNamed(configMap.name, `${field}.configMap.name`) : none,
    configMap ? validateKeys(configMap, `${field}.configMap`) : none,
    secret ? validateNamed(secret.secretName, `${field}.secret.secretName`) : none,
    secret ? validateKeys(secret, `${field}.secret`) : none,
    validateMode(downwardAPI?.defaultMode, `${field}.downwardAPI.defaultMode`),
    eachItem(downwardAPI?.items, `${field}.downwardAPI.items`, validateDownwardItem),
    validateMode(projected?.defaultMode, `${field}.projected.defaultMode`),
    eachItem(projected?.sources, `${field}.projected.sources`, validateProjection),
    persistentVolumeClaim
      ? validateNamed(persistentVolumeClaim.claimName, `${field}.persistentVolumeClaim.claimName`)
      : none,
  )
}

function validateHostPath({ path, type = '' }: HostPath, field: string): readonly Problem[] {
  return allOf(
    validateNamed(path, `${field}.path`),
    path.split('/').includes('..') ? [invalidValue(`${field}.path`, path, "must not contain '..'")] : none,
    hostPathTypes.includes(type) ? none : [unsupported(`${field}.type`, type, hostPathTypes)],
  )
}

function validateNamed(name: string | undefined, field: string): readonly Problem[] {
  return name ? none : [required(field)]
}

interface Keys {
  items?: readonly KeyToPath[]
  defaultMode?: number
}

function validateKeys({ items, defaultMode }: Keys, field: string): readonly Problem[] {
  return allOf(
    validateMode(defaultMode, `${field}.defaultMode`),
    eachItem(items, `${field}.items`, ({ key, path, mode }, at) =>
      allOf(
        key ? invalidName(`${at}.key`, key, checkConfigKey(key)) : [required(`${at}.key`)],
        path ? validateLocalPath(path, `${at}.path`) : [required(`${at}.path`)],
        validateMode(mode, `${at}.mode`),
      ),
    ),
  )
}

function validateDownwardItem(
  { path, fieldRef, resourceFieldRef, mode }: DownwardItem,
  field: string,
): readonly Problem[] {
  const ofSource = fieldRef
    ? resourceFieldRef
      ? [invalidValue(field, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously')]
      : validateFieldRef(fieldRef, volumeFields, `${field}.fieldRef`)
    : resourceFieldRef
      ? [
          ...(resourceFieldRef.containerName ? [] : [required(`${field}.resourceFieldRef.containerName`)]),
          ...validateResourceRef(resourceFieldRef, `${field}.resourceFieldRef`),
        ]
      : [required(`${field}.fieldRef`, 'one of fieldRef and resourceFieldRef is required')]
  return allOf(
    path ? validateLocalPath(path, `${field}.path`) : [required(`${field}.path`)],
    ofSource,
    validateMode(mode, `${field}.mode`),
  )
}

function validateProjection(source: Projection, field: string): readonly Problem[] {
  const { configMap, secret, downwardAPI, serviceAccountToken } = source
  const tokenSeconds = serviceAccountToken?.expirationSeconds ?? 3600
  return allOf(
    surplusOf(Object.keys(source), field, 'may not specify more than 1 volume type per source'),
    configMap ? validateNamed(configMap.name, `${field}.configMap.name`) : none,
    configMap ? validateKeys(configMap, `${field}.configMap`) : none,
    secret ? validateNamed(secret.name, `${field}.secret.name`) : none,
    secret ? validateKeys(secret, `${field}.secret`) : none,
    downwardAPI ? eachItem(downwardAPI.items, `${field}.downwardAPI.items`, validateDownwardItem) : none,
    tokenSeconds < 600
      ? [
          invalidValue(
            `${field}.serviceAccountToken.expirationSeconds`,
            tokenSeconds,
            'may not specify a duration less than 10 minutes',
          ),
        ]
      : none,
    serviceAccountToken && !serviceAccountToken.path ? [required(`${field}.serviceAccountToken.path`)] : none,
  )
}

const propagations = ['Bidirectional', 'HostToContainer', 'None']

/** What is wrong with a container's mounts; `volumes` are those of its pod. */
export function validateMounts(container: Container, volumes: readonly Volume[], field: string): readonly Problem[] {
  const paths = new Set<string>()
  return eachItem(container.volumeMounts, `${field}.volumeMounts`, (mount, at) => {
    const isRepeated = paths.has(mount.mountPath)
    paths.add(mount.mountPath)
    return allOf(
      validateMount(mount, volumes, at),
      isRepeated ? [invalidValue(`${at}.mountPath`, mount.mountPath, 'must be unique')] : none,
      mount.mountPropagation === 'Bidirectional' && !container.securityContext?.privileged
        ? [
            notAllowed(
              `${at}.mountPropagation`,
              'Bidirectional mount propagation is available only to privileged containers',
            ),
          ]
        : none,
    )
  })
}

function validateMount(mount: VolumeMount, volumes: readonly Volume[], field: string): readonly Problem[] {
  const { name, mountPath, subPath, subPathExpr, mountPropagation, recursiveReadOnly, readOnly } = mount
  const isKnown = volumes.some((volume) => volume.name === name)
  const ofName = name ? (isKnown ? [] : [unresolved(`${field}.name`, name)]) : [required(`${field}.name`)]
  return allOf(
    ofName,
    mountPath ? none : [required(`${field}.mountPath`)],
    validateLocalPath(subPath, `${field}.subPath`),
    validateLocalPath(subPathExpr, `${field}.subPathExpr`),
    subPath && subPathExpr
      ? [invalidValue(`${field}.subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive')]
      : none,
    mountPropagation && !propagations.includes(mountPropagation)
      ? [unsupported(`${field}.mountPropagation`, mountPropagation, propagations)]
      : none,
    recursiveReadOnly && recursiveReadOnly !== 'Disabled' && !readOnly
      ? [notAllowed(`${field}.recursiveReadOnly`, 'may only be specified when readOnly is true')]
      : none,
  )
}
