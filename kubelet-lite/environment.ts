/** A container's environment variables (upstream: makeEnvironmentVariables): literal, from ConfigMap, Secret, fields. */
import type { ConfigMap, Container, EnvVar, Pod, Secret } from '../orchestrator/api/types.ts'
import { fieldValue, type NodeFacts, resourceFieldValue } from './downward.ts'
import { stepFailed } from './errors.ts'
import { type ServiceReader, serviceVariables } from './service-variables.ts'

/** Reads objects of the pod's namespace; undefined when there is none. */
export interface ConfigReader {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>
  secret(namespace: string, name: string): Promise<Secret | undefined>
}

export interface EnvironmentInput extends ServiceReader {
  pod: Pod
  container: Container
  reader: ConfigReader
  node: NodeFacts
  podIPs: readonly string[]
}

type Variables = Map<string, string>

/**
 * Variables in the order in which they are defined, those of Services first; a later one may use `$(EARLIER)`.
 * Throws `CreateContainerConfigError` when a ConfigMap, Secret or key is missing that is not optional.
 */
export async function environment(input: EnvironmentInput): Promise<{ name: string; value: string }[]> {
  const result: Variables = new Map(serviceVariables(input.pod, input))
  for (const source of input.container.envFrom ?? []) await addAll(input, source, result)
  for (const variable of input.container.env ?? []) {
    const value = await variableValue(input, variable, result)
    if (value !== undefined) result.set(variable.name, value)
  }
  return [...result].map(([name, value]) => ({ name, value }))
}

async function addAll(
  input: EnvironmentInput,
  source: NonNullable<Container['envFrom']>[number],
  result: Variables,
): Promise<void> {
  const { configMapRef, secretRef, prefix = '' } = source
  const data = configMapRef
    ? await configMapData(input, configMapRef.name ?? '', configMapRef.optional)
    : await secretData(input, secretRef?.name ?? '', secretRef?.optional)
  for (const [key, value] of Object.entries(data ?? {})) result.set(prefix + key, value)
}

async function variableValue(input: EnvironmentInput, variable: EnvVar, known: Variables): Promise<string | undefined> {
  const from = variable.valueFrom
  if (!from) return expand(variable.value ?? '', known)
  if (from.configMapKeyRef) {
    const { name = '', key, optional } = from.configMapKeyRef
    return pick(await configMapData(input, name, optional), { kind: 'configmap', name, key, optional, ...at(input) })
  }
  if (from.secretKeyRef) {
    const { name = '', key, optional } = from.secretKeyRef
    return pick(await secretData(input, name, optional), { kind: 'secret', name, key, optional, ...at(input) })
  }
  if (from.fieldRef) return fieldValue(input.pod, from.fieldRef.fieldPath, { ...input.node, podIPs: input.podIPs })
  if (from.resourceFieldRef) return resourceFieldValue(input.pod, input.container, from.resourceFieldRef, input.node)
  throw stepFailed('CreateContainerConfigError', `env ${variable.name}: this kind of valueFrom is not supported`)
}

const at = (input: EnvironmentInput) => ({ namespace: input.pod.metadata?.namespace ?? '' })

function pick(
  data: Readonly<Record<string, string>> | undefined,
  ref: { kind: string; namespace: string; name: string; key: string; optional: boolean | undefined },
): string | undefined {
  const value = data?.[ref.key]
  if (value !== undefined || ref.optional) return value
  throw stepFailed(
    'CreateContainerConfigError',
    `couldn't find key ${ref.key} in ${ref.kind === 'configmap' ? 'ConfigMap' : 'Secret'} ${ref.namespace}/${ref.name}`,
  )
}

async function configMapData(
  input: EnvironmentInput,
  name: string,
  optional: boolean | undefined,
): Promise<Record<string, string> | undefined> {
  const found = await input.reader.configMap(input.pod.metadata?.namespace ?? '', name)
  if (!found && !optional) throw stepFailed('CreateContainerConfigError', `configmap "${name}" not found`)
  return found?.data as Record<string, string> | undefined
}

async function secretData(
  input: EnvironmentInput,
  name: string,
  optional: boolean | undefined,
): Promise<Record<string, string> | undefined> {
  const found = await input.reader.secret(input.pod.metadata?.namespace ?? '', name)
  if (!found && !optional) throw stepFailed('CreateContainerConfigError', `secret "${name}" not found`)
  const data = Object.entries((found?.data ?? {}) as Record<string, string>)
  return Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]))
}

/** `$(NAME)` becomes the variable's value, `$$` a dollar; an unknown name stays as it is (upstream: third_party/forked/golang/expansion). */
export function expand(text: string, known: ReadonlyMap<string, string>): string {
  return text.replace(/\$(\$|\(([^()]*)\))/g, (whole, what: string, name: string | undefined) => {
    if (what === '$') return '$'
    return known.get(name ?? '') ?? whole
  })
}
