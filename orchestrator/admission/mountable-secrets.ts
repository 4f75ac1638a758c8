/** Which secrets the pods of an account may use. Source: k8s.io/kubernetes/plugin/pkg/admission/serviceaccount. */
import { own } from '../api/own.ts'
import type { Pod, ServiceAccount } from '../api/types.ts'

/** An account that has this annotation, and it is true, lends its pods no secrets but those that it names. */
export const enforceAnnotation = 'kubernetes.io/enforce-mountable-secrets'

type Spec = NonNullable<Pod['spec']>
type Container = Pick<Spec['containers'][number], 'name' | 'env' | 'envFrom'>

/**
 * Why a pod may not use a secret that it refers to; undefined if it may use all. `what` says which part of the pod is
 * asked about: all of a new one, or the containers that it was given later.
 */
export function secretNotMountable(
  { metadata, secrets = [], imagePullSecrets = [] }: ServiceAccount,
  spec: Spec,
  what: 'new' | 'ephemeral containers',
): string | undefined {
  if (!isTrue(own(metadata?.annotations, enforceAnnotation))) return undefined
  const account = metadata?.name ?? ''
  const mountable = new Set(secrets.map(({ name }) => name))
  const used =
    what === 'new' ? usedByNew(spec) : (spec.ephemeralContainers ?? []).flatMap(usedBy('ephemeral container'))
  const refused = used.find(({ secret }) => !mountable.has(secret))
  if (refused) return `${refused.user} is not allowed because service account ${account} does not reference that secret`
  if (what !== 'new') return undefined
  const pullable = new Set(imagePullSecrets.map(({ name }) => name))
  const index = (spec.imagePullSecrets ?? []).findIndex(({ name }) => !pullable.has(name))
  if (index < 0) return undefined
  const name = JSON.stringify(spec.imagePullSecrets?.[index]?.name ?? '')
  return `imagePullSecrets[${index}].name=${name} is not allowed because service account ${account} does not reference that imagePullSecret`
}

interface Use {
  readonly secret: string
  readonly user: string
}

function usedByNew({ volumes = [], initContainers = [], containers }: Spec): Use[] {
  return [
    ...volumes.flatMap(({ secret }): Use[] => {
      const name = secret?.secretName
      return secret ? [{ secret: name ?? '', user: `volume with secret.secretName="${name ?? ''}"` }] : []
    }),
    ...initContainers.flatMap(usedBy('init container')),
    ...containers.flatMap(usedBy('container')),
  ]
}

function usedBy(role: string): (container: Container) => Use[] {
  const use = (secret: string, user: string) => ({ secret, user: `${user} referencing secret.secretName="${secret}"` })
  return ({ name, env = [], envFrom = [] }) => [
    ...env.flatMap((variable) => {
      const ref = variable.valueFrom?.secretKeyRef
      return ref ? [use(ref.name ?? '', `${role} ${name} with envVar ${variable.name}`)] : []
    }),
    ...envFrom.flatMap(({ secretRef }) =>
      secretRef ? [use(secretRef.name ?? '', `${role} ${name} with envFrom`)] : [],
    ),
  ]
}

/** As Go's strconv.ParseBool. */
const isTrue = (text: string | undefined) => ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text ?? '')
