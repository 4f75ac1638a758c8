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
type KeyToPath = NonNullable<NonNullable<Volume['configMap']>['items']>[number]

/** What is wrong with a pod's volumes. */
export function validateVolumes(volumes: readonly Volume[] | undefined, field: string): Problem[] {
  return allOf(
    eachItem(volumes, field, (volume, at) => allOf(validateName(volume, at), validateSource(volume, at))),
    duplicates(
      volumes,
      ({ name }) => name,
      (at) => `${field}[${at}].name`,
    ),
  )
}

function validateName({ name }: Volume, field: string): Problem[] {
  return name ? invalidName(`${field}.name`, name, checkDnsLabel(name)) : [required(`${field}.name`)]
}

function validateSource(volume: Volume, field: string): Problem[] {
  const types = Object.keys(volume).filter((key) => key !== 'name')
  if (types.length === 0) return [required(field, 'must specify a volume type')]
  const [, ...surplus] = types
  const validateType = validatorOf(volume, field)
  return allOf(
    surplus.map((type) => notAllowed(`${field}.${type}`, 'may not specify more than 1 volume type')),
    validateType,
  )
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

function validatorOf(volume: Volume, field: string): Problem[] {
  const { hostPath, emptyDir, configMap, secret, downwardAPI, projected, persistentVolumeClaim } = volume
  const problems: Problem[] = []
  if (hostPath) {
    const at = `${field}.hostPath`
    if (!hostPath.path) problems.push(required(`${at}.path`))
    else if (hostPath.path.split('/').includes('..'))
      problems.push(invalidValue(`${at}.path`, hostPath.path, "must not contain '..'"))
    const { type = '' } = hostPath
    if (!hostPathTypes.includes(type)) problems.push(unsupported(`${at}.type`, type, hostPathTypes))
  }
  if (emptyDir?.sizeLimit && parseQuantity(emptyDir.sizeLimit).nano < 0n) {
    problems.push(notAllowed(`${field}.emptyDir.sizeLimit`, 'SizeLimit field must be a valid resource quantity'))
  }
  if (configMap)
    problems.push(...validateKeys({ ...configMap, ofName: 'name', name: configMap.name }, `${field}.configMap`))
  if (secret)
    problems.push(...validateKeys({ ...secret, ofName: 'secretName', name: secret.secretName }, `${field}.secret`))
  if (downwardAPI) {
    problems.push(...validateMode(downwardAPI.defaultMode, `${field}.downwardAPI.defaultMode`))
    problems.push(...eachItem(downwardAPI.items, `${field}.downwardAPI.items`, validateDownwardItem))
  }
  if (projected) {
    problems.push(...validateMode(projected.defaultMode, `${field}.projected.defaultMode`))
    problems.push(...eachItem(projected.sources, `${field}.projected.sources`, validateProjection))
  }
  if (persistentVolumeClaim && !persistentVolumeClaim.claimName) {
    problems.push(required(`${field}.persistentVolumeClaim.claimName`))
  }
  return problems
}

interface Keys {
  ofName: string
  name: string | undefined
  items?: readonly KeyToPath[]
  defaultMode?: number
}

function validateKeys({ ofName, name, items, defaultMode }: Keys, field: string): Problem[] {
  return allOf(
    name ? none : [required(`${field}.${ofName}`)],
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

function validateDownwardItem({ path, fieldRef, resourceFieldRef, mode }: DownwardItem, field: string): Problem[] {
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

function validateProjection(source: Projection, field: string): Problem[] {
  const { configMap, secret, downwardAPI, serviceAccountToken } = source
  const [, ...surplus] = Object.keys(source)
  const tokenSeconds = serviceAccountToken?.expirationSeconds ?? 3600
  return allOf(
    surplus.map((type) => notAllowed(`${field}.${type}`, 'may not specify more than 1 volume type per source')),
    configMap ? validateKeys({ ...configMap, ofName: 'name', name: configMap.name }, `${field}.configMap`) : none,
    secret ? validateKeys({ ...secret, ofName: 'name', name: secret.name }, `${field}.secret`) : none,
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
export function validateMounts(container: Container, volumes: readonly Volume[], field: string): Problem[] {
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

function validateMount(mount: VolumeMount, volumes: readonly Volume[], field: string): Problem[] {
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
