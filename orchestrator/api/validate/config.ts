/** ConfigMaps and Secrets. Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { isEqual } from '../equal.ts'
import { checkConfigKey } from '../names.ts'
import { own } from '../own.ts'
import type { ConfigMap, Secret } from '../types.ts'
import { allOf, invalidName, invalidValue, none, notAllowed, type Problem, required, tooLongValue } from './problem.ts'

const largestBytes = 1024 * 1024

function validateKeys(map: Record<string, string> | undefined, field: string): readonly Problem[] {
  return Object.keys(map ?? {}).flatMap((key) => invalidName(`${field}[${key}]`, key, checkConfigKey(key)))
}

const bytesOf = (map: Record<string, string> | undefined, size: (value: string) => number) =>
  Object.values(map ?? {}).reduce((sum, value) => sum + size(value), 0)

const base64Bytes = (value: string) => Math.floor((value.length * 3) / 4) - (value.match(/=*$/)?.[0].length ?? 0)

/** What is wrong with a ConfigMap. */
export function validateConfigMap({ data, binaryData }: ConfigMap): readonly Problem[] {
  const both = Object.keys(data ?? {}).filter((key) => Object.hasOwn(binaryData ?? {}, key))
  const bytes = bytesOf(data, Buffer.byteLength) + bytesOf(binaryData, base64Bytes)
  return allOf(
    validateKeys(data, 'data'),
    both.map((key) => invalidValue(`data[${key}]`, key, `duplicate of key present in binaryData`)),
    validateKeys(binaryData, 'binaryData'),
    // Of the whole there is no path: Go writes that as `[]`.
    bytes > largestBytes ? [tooLongValue('[]', largestBytes)] : none,
  )
}

const immutable = 'field is immutable when `immutable` is set'

/** What an update of a ConfigMap may not do. */
export function validateConfigMapUpdate(map: ConfigMap, old: ConfigMap): readonly Problem[] {
  if (!old.immutable) return []
  return allOf(
    map.immutable ? none : [notAllowed('immutable', immutable)],
    isEqual(map.data, old.data) ? none : [notAllowed('data', immutable)],
    isEqual(map.binaryData, old.binaryData) ? none : [notAllowed('binaryData', immutable)],
  )
}

/** The keys that a typed Secret must have. */
const keysByType: Record<string, readonly string[]> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
}

const jsonKeys = ['.dockercfg', '.dockerconfigjson']

/** What is wrong with a Secret. */
export function validateSecret(secret: Secret): readonly Problem[] {
  const data = secret.data ?? {}
  const tooLarge = bytesOf(data, base64Bytes) > largestBytes
  return allOf(
    validateKeys(data, 'data'),
    tooLarge ? [tooLongValue('data', largestBytes)] : none,
    (own(keysByType, secret.type ?? '') ?? []).flatMap((key) => validateTypedKey(data, key)),
  )
}

function validateTypedKey(data: Record<string, string>, key: string): readonly Problem[] {
  const value = data[key]
  if (value === undefined) return [required(`data[${key}]`)]
  if (!jsonKeys.includes(key)) return []
  try {
    JSON.parse(Buffer.from(value, 'base64').toString())
    return []
  } catch (error) {
    return [invalidValue(`data[${key}]`, '<secret contents redacted>', (error as Error).message)]
  }
}

/** What an update of a Secret may not do. */
export function validateSecretUpdate(secret: Secret, old: Secret): readonly Problem[] {
  const problems = secret.type === old.type ? [] : [invalidValue('type', secret.type, 'field is immutable')]
  if (!old.immutable) return problems
  return allOf(
    problems,
    secret.immutable ? none : [notAllowed('immutable', immutable)],
    isEqual(secret.data, old.data) ? none : [notAllowed('data', immutable)],
  )
}
