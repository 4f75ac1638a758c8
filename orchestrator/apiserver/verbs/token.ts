/** `POST serviceaccounts/x/token`. Source: k8s.io/kubernetes/pkg/registry/core/serviceaccount/storage/token.go. */
import { mutate, validate } from '../../admission/admission.ts'
import { secretKind } from '../../api/kinds/config.ts'
import type { Kind } from '../../api/kinds/kind.ts'
import { nodeKind } from '../../api/kinds/node.ts'
import { podKind } from '../../api/kinds/pod.ts'
import { tokenRequestKind } from '../../api/kinds/reviews.ts'
import { badRequest, conflict, invalid, unavailable } from '../../api/status.ts'
import type { KubeObject, Node, Pod, TokenRequest } from '../../api/types.ts'
import { invalidValue, type Problem, required } from '../../api/validate/problem.ts'
import type { KubernetesClaims, ObjectName } from '../../auth/tokens/claims.ts'
import { type ObjectPlace, typed } from '../objects.ts'
import { type Registry, timestamp } from '../registry.ts'
import { getNewest, getStored } from '../stored.ts'
import type { WriteOptions } from './write.ts'

const shortestSeconds = 600
const longestSeconds = 2 ** 32
const defaultSeconds = 3600

/**
 * What old clients' tokens, which are read once, are asked for: they get a year instead of an hour, with the second after
 * which a use of it shows that the client does not read it anew (KEP-1205).
 */
const extendable = { asked: 3607, given: 365 * 24 * 3600 }

/** A token for the account at `place`. Throws NOT_FOUND, INVALID, CONFLICT, BAD_REQUEST, and what admission says. */
export async function createToken(
  registry: Registry,
  place: ObjectPlace,
  request: WriteOptions & { tokenRequest: TokenRequest },
): Promise<TokenRequest> {
  const { tokens } = registry
  if (!tokens) throw unavailable('this server gives out no tokens')
  const { tokenRequest, user, dryRun, warn } = request
  const account = await getNewest(registry, place)
  refuseOtherPlace(place, tokenRequest)
  const spec = withDefaults(tokenRequest, tokens.authority.audiences)
  const admission = {
    verb: 'create' as const,
    ...place,
    subresource: 'token',
    object: tokenRequest,
    user,
    dryRun,
    warn,
  }
  await mutate(registry.admission, admission)
  const problems = problemsOf(spec)
  if (problems.length > 0) throw invalid(tokenRequestKind, place.name, problems)
  const bound = boundTo(registry, place, spec.boundObjectRef)
  await validate(registry.admission, admission)
  const { audiences, expirationSeconds } = spec
  const isExtended =
    expirationSeconds === extendable.asked &&
    bound.pod !== undefined &&
    audiences.every((each) => tokens.authority.audiences.includes(each))
  const claims: KubernetesClaims = {
    namespace: place.namespace ?? '',
    ...bound,
    serviceaccount: nameOf(account),
    ...(isExtended ? { warnafter: Math.floor(registry.clock.now() / 1000) + expirationSeconds } : {}),
  }
  const seconds = isExtended ? extendable.given : expirationSeconds
  const token = dryRun ? '' : await tokens.authority.issue({ ...claims, audiences, seconds })
  return typed(tokenRequestKind as unknown as Kind, {
    ...tokenRequest,
    metadata: { name: place.name, namespace: place.namespace ?? '', creationTimestamp: timestamp(registry.clock) },
    status: { token, expirationTimestamp: timestamp(registry.clock, expirationSeconds) },
  })
}

function refuseOtherPlace({ name, namespace }: ObjectPlace, { metadata = {} }: TokenRequest): void {
  if (metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  if (metadata.name && metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`)
  }
}

type Spec = NonNullable<TokenRequest['spec']>
type WholeSpec = Spec & { audiences: string[]; expirationSeconds: number }

/** Fills in what was left out, in the request itself, and gives it back. */
function withDefaults(request: TokenRequest, own: readonly string[]): WholeSpec {
  const { audiences = [], expirationSeconds = defaultSeconds, ...rest } = request.spec ?? {}
  const spec = { ...rest, audiences: audiences.length > 0 ? audiences : [...own], expirationSeconds }
  request.spec = spec
  return spec
}

function problemsOf({ expirationSeconds: seconds, boundObjectRef }: WholeSpec): readonly Problem[] {
  const field = 'spec.expirationSeconds'
  return [
    ...(seconds < shortestSeconds
      ? [invalidValue(field, seconds, 'may not specify a duration less than 10 minutes')]
      : []),
    ...(seconds > longestSeconds
      ? [invalidValue(field, seconds, 'may not specify a duration larger than 2^32 seconds')]
      : []),
    ...(boundObjectRef && !boundObjectRef.name ? [required('spec.boundObjectRef.name')] : []),
  ]
}

function nameOf({ metadata = {} }: KubeObject): ObjectName {
  return { name: metadata.name ?? '', uid: metadata.uid ?? '' }
}

const bindable: Readonly<Record<string, Kind>> = {
  Pod: podKind as unknown as Kind,
  Secret: secretKind as unknown as Kind,
  Node: nodeKind as unknown as Kind,
}

/** The object with which the token ends. Throws NOT_FOUND, CONFLICT (another uid), BAD_REQUEST. */
function boundTo(
  registry: Registry,
  place: ObjectPlace,
  ref: Spec['boundObjectRef'],
): Pick<KubernetesClaims, 'pod' | 'secret' | 'node'> {
  if (!ref) return {}
  const { apiVersion = '', kind: kindName = '', name = '', uid } = ref
  const kind = apiVersion === 'v1' && Object.hasOwn(bindable, kindName) ? bindable[kindName] : undefined
  if (!kind) throw badRequest(`cannot bind token to object of type ${apiVersion}, Kind=${kindName}`)
  const { namespace } = place
  const found = getStored(registry, { kind, name, ...(kind.namespaced && namespace ? { namespace } : {}) })
  if (uid && uid !== found.metadata?.uid) {
    const text = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`
    throw conflict(kind, name, text)
  }
  if (kindName === 'Secret') return { secret: nameOf(found) }
  if (kindName === 'Node') return { node: nameOf(found) }
  const pod = found as Pod
  if ((pod.spec?.serviceAccountName ?? 'default') !== place.name) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(place.name)} to pod running with different serviceaccount name.`,
    )
  }
  return { pod: nameOf(pod), ...nodeOfPod(registry, pod) }
}

function nodeOfPod(registry: Registry, { spec }: Pod): { node?: ObjectName } {
  if (!spec?.nodeName) return {}
  const kind = nodeKind as unknown as Kind
  const node = registry.cacheOf(kind).get(`${kind.storedAt}${spec.nodeName}`)?.value as Node | undefined
  return { node: node ? nameOf(node) : { name: spec.nodeName } }
}
