/** Environment variables. Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { checkConfigKey, checkEnvName, checkQualifiedName } from '../names.ts'
import type { Container, EnvVar } from '../types.ts'
import { allOf, eachItem, invalidName, invalidValue, none, type Problem, required, unsupported } from './problem.ts'

type Source = NonNullable<EnvVar['valueFrom']>
type FromSource = NonNullable<Container['envFrom']>[number]
type FieldRef = NonNullable<Source['fieldRef']>
type ResourceRef = NonNullable<Source['resourceFieldRef']>

/** What is wrong with a container's `env` and `envFrom`. */
export function validateEnvironment({ env, envFrom }: Container, field: string): readonly Problem[] {
  return allOf(
    eachItem(env, `${field}.env`, validateVariable),
    eachItem(envFrom, `${field}.envFrom`, validateFromSource),
  )
}

function validateVariable({ name, value, valueFrom }: EnvVar, field: string): readonly Problem[] {
  const ofName = name ? invalidName(`${field}.name`, name, checkEnvName(name)) : [required(`${field}.name`)]
  return allOf(ofName, valueFrom ? validateSource(valueFrom, value, `${field}.valueFrom`) : none)
}

function validateSource(source: Source, value: string | undefined, field: string): readonly Problem[] {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = source
  const given = Object.values(source).filter((each) => each !== undefined).length
  if (given === 0) {
    return [
      invalidValue(
        field,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
      ),
    ]
  }
  return allOf(
    value ? [invalidValue(field, '', 'may not be specified when `value` is not empty')] : none,
    given > 1 ? [invalidValue(field, '', 'may not have more than one field specified at a time')] : none,
    fieldRef ? validateFieldRef(fieldRef, envFields, `${field}.fieldRef`) : none,
    resourceFieldRef ? validateResourceRef(resourceFieldRef, `${field}.resourceFieldRef`) : none,
    configMapKeyRef ? validateKeyRef(configMapKeyRef, `${field}.configMapKeyRef`) : none,
    secretKeyRef ? validateKeyRef(secretKeyRef, `${field}.secretKeyRef`) : none,
  )
}

const envFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
]

/** Fields that a downward API volume can show. */
export const volumeFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.labels',
  'metadata.annotations',
  'metadata.uid',
]

/** A field of the pod, or one label or annotation as `metadata.labels['key']`. */
export function validateFieldRef(
  { apiVersion, fieldPath }: FieldRef,
  supported: readonly string[],
  field: string,
): readonly Problem[] {
  const at = `${field}.fieldPath`
  if (!apiVersion) return [required(`${field}.apiVersion`)]
  if (!fieldPath) return [required(at)]
  const [, path, key = ''] = /^(metadata\.(?:annotations|labels))\['(.*)'\]$/.exec(fieldPath) ?? []
  if (path) return invalidName(at, key, checkQualifiedName(path === 'metadata.annotations' ? key.toLowerCase() : key))
  return supported.includes(fieldPath) ? [] : [unsupported(at, fieldPath, supported)]
}

const resourceFields = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
]

/** A request or limit of a container. */
export function validateResourceRef({ resource }: ResourceRef, field: string): readonly Problem[] {
  if (!resource) return [required(`${field}.resource`)]
  const isKnown = resourceFields.includes(resource) || /^(limits|requests)\.hugepages-/.test(resource)
  return isKnown ? [] : [unsupported(`${field}.resource`, resource, resourceFields)]
}

function validateKeyRef({ name, key }: { name?: string; key: string }, field: string): readonly Problem[] {
  return allOf(
    name ? none : [required(`${field}.name`)],
    key ? invalidName(`${field}.key`, key, checkConfigKey(key)) : [required(`${field}.key`)],
  )
}

function validateFromSource({ prefix, configMapRef, secretRef }: FromSource, field: string): readonly Problem[] {
  const ofPrefix = prefix ? invalidName(`${field}.prefix`, prefix, checkEnvName(prefix)) : []
  if (configMapRef && secretRef)
    return [...ofPrefix, invalidValue(field, '', 'may not have more than one field specified at a time')]
  if (!configMapRef && !secretRef)
    return [...ofPrefix, invalidValue(field, '', 'must specify one of: `configMapRef` or `secretRef`')]
  const [name, reference] = configMapRef
    ? (['configMapRef', configMapRef] as const)
    : (['secretRef', secretRef] as const)
  return allOf(ofPrefix, reference?.name ? none : [required(`${field}.${name}.name`)])
}
