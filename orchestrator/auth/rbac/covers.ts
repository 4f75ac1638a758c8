/**
 * Whether somebody holds all that he wants to grant. Rules are taken apart into pieces with one verb and one resource
 * each; a piece is held when one rule holds it. Source: k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go.
 */
import type { PolicyRule } from '../../api/types.ts'
import type { User } from '../../api/user.ts'

/** The pieces of `wanted` that none of `held` covers. */
export function missingRights(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(piecesOf).filter((piece) => !held.some((rule) => covers(rule, piece)))
}

function piecesOf(rule: PolicyRule): PolicyRule[] {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule
  const names = resourceNames.length > 0 ? resourceNames.map((name) => ({ resourceNames: [name] })) : [{}]
  const ofResources = apiGroups.flatMap((group) =>
    resources.flatMap((resource) =>
      verbs.flatMap((verb) =>
        names.map((name) => ({ apiGroups: [group], resources: [resource], verbs: [verb], ...name })),
      ),
    ),
  )
  const ofPaths = nonResourceURLs.flatMap((url) => verbs.map((verb) => ({ nonResourceURLs: [url], verbs: [verb] })))
  return [...ofResources, ...ofPaths]
}

function covers(held: PolicyRule, piece: PolicyRule): boolean {
  if (!hasAll(held.verbs, piece.verbs)) return false
  if (piece.nonResourceURLs) return piece.nonResourceURLs.every((url) => (held.nonResourceURLs ?? []).some(isPath(url)))
  if (!hasAll(held.apiGroups ?? [], piece.apiGroups ?? [])) return false
  if (!(piece.resources ?? []).every((resource) => hasResource(held.resources ?? [], resource))) return false
  if (!held.resourceNames?.length) return true
  return (piece.resourceNames ?? []).length > 0 && hasNames(held.resourceNames, piece.resourceNames ?? [])
}

const hasAll = (held: readonly string[], wanted: readonly string[]) =>
  held.includes('*') || wanted.every((each) => held.includes(each))

/** Here `*` is a name like any other. */
const hasNames = (held: readonly string[], wanted: readonly string[]) => wanted.every((each) => held.includes(each))

function hasResource(held: readonly string[], resource: string): boolean {
  if (held.includes('*') || held.includes(resource)) return true
  const slash = resource.indexOf('/')
  return slash >= 0 && held.includes(`*${resource.slice(slash)}`)
}

const isPath = (url: string) => (held: string) =>
  held === url || (held.endsWith('*') && url.startsWith(held.slice(0, -1)))

/** Why this user may not grant what he does not hold, in Kubernetes' words; undefined when he holds it all. */
export function escalationOf(
  user: User,
  held: { readonly rules: readonly PolicyRule[]; readonly errors: readonly string[] },
  wanted: readonly PolicyRule[],
): string | undefined {
  const missing = missingRights(held.rules, wanted)
  if (missing.length === 0) return undefined
  const lines = [...new Set(compacted(missing).map(describeRule))].sort()
  const who = `user ${JSON.stringify(user.name)} (groups=${quotedList(user.groups)})`
  const unknown = held.errors.length > 0 ? `; resolution errors: [${held.errors.join(' ')}]` : ''
  return `${who} is attempting to grant RBAC permissions not currently held:\n${lines.join('\n')}${unknown}`
}

/** Pieces of the same resource as one rule again. */
function compacted(pieces: readonly PolicyRule[]): PolicyRule[] {
  const byPlace = new Map<string, PolicyRule>()
  for (const piece of pieces) {
    const { verbs, ...place } = piece
    const key = JSON.stringify(place.nonResourceURLs ? piece : place)
    const known = byPlace.get(key)
    byPlace.set(key, known ? { ...known, verbs: [...known.verbs, ...verbs] } : piece)
  }
  return [...byPlace.values()]
}

const quotedList = (texts: readonly string[]) => `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`

function describeRule(rule: PolicyRule): string {
  const parts = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['ResourceNames', rule.resourceNames],
    ['Verbs', rule.verbs],
  ] as const
  return `{${parts.flatMap(([name, list]) => (list?.length ? [`${name}:${quotedList(list)}`] : [])).join(', ')}}`
}
