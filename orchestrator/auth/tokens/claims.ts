/** What tokens of service accounts say. Source: k8s.io/kubernetes/pkg/serviceaccount/{claims,legacy}.go. */

export interface ObjectName {
  readonly name: string
  readonly uid?: string
}

/** The part of a token that is Kubernetes' own. */
export interface KubernetesClaims {
  readonly namespace: string
  readonly serviceaccount: ObjectName
  /** The token ends with this object. */
  readonly pod?: ObjectName
  readonly secret?: ObjectName
  /** The node of the pod, or what the token is bound to. */
  readonly node?: ObjectName
  /** Whoever still uses the token after this second has not read it anew. */
  readonly warnafter?: number
}

/** Times are in seconds since the epoch. */
export interface TokenClaims {
  readonly iss: string
  readonly sub: string
  readonly aud?: readonly string[]
  readonly exp?: number
  readonly nbf?: number
  readonly jti?: string
  readonly 'kubernetes.io'?: KubernetesClaims
}

/** The issuer of tokens that lie in secrets and never expire. */
export const legacyIssuer = 'kubernetes/serviceaccount'

const legacy = {
  namespace: 'kubernetes.io/serviceaccount/namespace',
  secret: 'kubernetes.io/serviceaccount/secret.name',
  account: 'kubernetes.io/serviceaccount/service-account.name',
  uid: 'kubernetes.io/serviceaccount/service-account.uid',
} as const

/** The claims of a token that lies in a secret. */
export function legacyClaims(claims: KubernetesClaims): Record<string, unknown> {
  const { namespace, serviceaccount, secret } = claims
  return {
    [legacy.namespace]: namespace,
    [legacy.secret]: secret?.name,
    [legacy.account]: serviceaccount.name,
    [legacy.uid]: serviceaccount.uid,
  }
}

/** What both kinds of token say of their account; undefined for a token that is neither. */
export function kubernetesClaimsOf(claims: Readonly<Record<string, unknown>>): KubernetesClaims | undefined {
  if (claims.iss !== legacyIssuer) {
    const ours = claims['kubernetes.io'] as KubernetesClaims | undefined
    return ours?.namespace && ours.serviceaccount?.name ? ours : undefined
  }
  const [namespace, name, uid, secret] = [legacy.namespace, legacy.account, legacy.uid, legacy.secret].map((key) =>
    String(claims[key] ?? ''),
  )
  if (!namespace || !name || !uid || !secret) return undefined
  return { namespace, serviceaccount: { name, uid }, secret: { name: secret } }
}
