/** One PolicyRule, made ready to be asked often. Source: k8s.io/kubernetes/pkg/apis/rbac/v1/evaluation_helpers.go. */
import type { PolicyRule } from '../../api/types.ts'
import { type Attributes, type ResourceAttributes, resourceText } from '../authorize.ts'

/** Answers whether its rule allows what is asked. */
export interface CompiledRule {
  readonly rule: PolicyRule
  allows(attributes: Pick<Attributes, 'verb' | 'resource' | 'path'>): boolean
}

const everything = '*'

/** Undefined stands for everything. */
function setOf(values: readonly string[] | undefined): ReadonlySet<string> | undefined {
  return values?.includes(everything) ? undefined : new Set(values)
}

const has = (set: ReadonlySet<string> | undefined, value: string) => set === undefined || set.has(value)

export function compileRule(rule: PolicyRule): CompiledRule {
  const verbs = setOf(rule.verbs)
  const groups = setOf(rule.apiGroups)
  const resources = setOf(rule.resources)
  const names = rule.resourceNames?.length ? new Set(rule.resourceNames) : undefined
  const matchesPath = pathMatcher(rule.nonResourceURLs ?? [])
  const matchesResource = (resource: ResourceAttributes) =>
    has(groups, resource.group) && hasResource(resources, resource) && (names === undefined || names.has(resource.name))
  return {
    rule,
    allows: ({ verb, resource, path }) =>
      has(verbs, verb) && (resource === undefined ? matchesPath(path) : matchesResource(resource)),
  }
}

/** A star is every resource and subresource; a star, a slash and a name that subresource of each. */
function hasResource(resources: ReadonlySet<string> | undefined, asked: ResourceAttributes): boolean {
  if (resources === undefined || resources.has(resourceText(asked))) return true
  return asked.subresource !== '' && resources.has(`*/${asked.subresource}`)
}

/** `*` at the end stands for any rest; anywhere else it is itself. */
function pathMatcher(patterns: readonly string[]): (path: string) => boolean {
  const exact = new Set(patterns)
  const beginnings = patterns.filter((each) => each.endsWith(everything)).map((each) => each.slice(0, -1))
  return (path) => exact.has(path) || beginnings.some((beginning) => path.startsWith(beginning))
}
