/** Who a service account's token is: its objects must still be there. Source: k8s.io/kubernetes/pkg/serviceaccount/{jwt,claims,legacy}.go. */
import type { Clock } from '../../../runtime/base/clock.ts'
import type { KubeObject, Secret } from '../../api/types.ts'
import { serviceAccountGroups, serviceAccountUser, type User } from '../../api/user.ts'
import { authError } from '../errors.ts'
import { type KubernetesClaims, kubernetesClaimsOf, legacyIssuer, type ObjectName } from './claims.ts'
import type { TokenAuthority } from './token-authority.ts'

/** The objects of the cluster, as they are now. */
export interface TokenObjects {
  find(
    resource: 'serviceaccounts' | 'pods' | 'secrets' | 'nodes',
    name: string,
    namespace?: string,
  ): KubeObject | undefined
}

export interface Authenticated {
  readonly user: User
  /** Those of the asked audiences for which the token was made. */
  readonly audiences: readonly string[]
}

export interface ServiceAccountTokens {
  readonly authority: TokenAuthority
  readonly objects: TokenObjects
  readonly clock: Clock
}

/** What is being deleted is believed a little longer: it still has to clean up. */
const leewaySeconds = 60

/** Undefined for a text that is no token of ours. Throws INVALID_TOKEN. */
export async function authenticateServiceAccount(
  tokens: ServiceAccountTokens,
  token: string,
  audiences: readonly string[] = tokens.authority.audiences,
): Promise<Authenticated | undefined> {
  const claims = await tokens.authority.verify(token)
  if (!claims) return undefined
  const ours = kubernetesClaimsOf(claims)
  if (!ours) throw authError('INVALID_TOKEN', 'the token does not name a service account')
  const { namespace, serviceaccount } = ours
  if (claims.sub !== serviceAccountUser(namespace, serviceaccount.name)) {
    throw authError('INVALID_TOKEN', 'the subject of the token is not its service account')
  }
  // A token of a secret was made for nobody in particular: it is good here.
  const madeFor = claims.aud === undefined ? tokens.authority.audiences : [claims.aud].flat()
  const common = audiences.filter((each) => madeFor.includes(each))
  if (common.length === 0) {
    const text = `token audiences ${JSON.stringify(madeFor)} is invalid for the target audiences ${JSON.stringify(audiences)}`
    throw authError('INVALID_TOKEN', text)
  }
  refuseUnlessThere(tokens, ours)
  if (claims.iss === legacyIssuer) refuseUnlessInSecret(tokens, ours, token)
  return { user: userOf(ours, claims.jti), audiences: common }
}

function refuseUnlessThere(tokens: ServiceAccountTokens, claims: KubernetesClaims): void {
  const { namespace, serviceaccount, pod, secret, node } = claims
  const check = (resource: Parameters<TokenObjects['find']>[0], ref: ObjectName | undefined, within?: string) => {
    if (!ref) return
    const found = tokens.objects.find(resource, ref.name, within)
    const what = resource.slice(0, -1)
    if (!found || isGone(found, tokens.clock))
      throw authError('INVALID_TOKEN', `the ${what} of the token has been deleted`)
    if (ref.uid !== undefined && found.metadata?.uid !== ref.uid) {
      throw authError('INVALID_TOKEN', `${what} UID (${found.metadata?.uid}) does not match claim (${ref.uid})`)
    }
  }
  check('serviceaccounts', serviceaccount, namespace)
  check('pods', pod, namespace)
  check('secrets', secret, namespace)
  // Of a pod's token the node only tells where it was made.
  if (!pod) check('nodes', node)
}

function isGone({ metadata }: KubeObject, clock: Clock): boolean {
  const at = metadata?.deletionTimestamp
  return at !== undefined && Date.parse(at) + leewaySeconds * 1000 < clock.now()
}

function refuseUnlessInSecret({ objects }: ServiceAccountTokens, claims: KubernetesClaims, token: string): void {
  const secret = objects.find('secrets', claims.secret?.name ?? '', claims.namespace) as Secret | undefined
  const kept = Buffer.from(secret?.data?.token ?? '', 'base64').toString()
  if (kept !== token) throw authError('INVALID_TOKEN', 'the token is no longer that of its secret')
}

function userOf({ namespace, serviceaccount, pod, node }: KubernetesClaims, id: string | undefined): User {
  const prefix = 'authentication.kubernetes.io'
  const extra = {
    ...(id ? { [`${prefix}/credential-id`]: [`JTI=${id}`] } : {}),
    ...(pod ? { [`${prefix}/pod-name`]: [pod.name], [`${prefix}/pod-uid`]: [pod.uid ?? ''] } : {}),
    ...(node ? { [`${prefix}/node-name`]: [node.name] } : {}),
    ...(node?.uid ? { [`${prefix}/node-uid`]: [node.uid] } : {}),
  }
  return {
    name: serviceAccountUser(namespace, serviceaccount.name),
    ...(serviceaccount.uid ? { uid: serviceaccount.uid } : {}),
    groups: serviceAccountGroups(namespace),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  }
}
