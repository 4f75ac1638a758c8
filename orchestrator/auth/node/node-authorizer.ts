/**
 * What a kubelet may do: what its own pods need, and no more. What it may write of that, the admission plugin
 * NodeRestriction says. Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/node/node_authorizer.go.
 */
import { nodeOf } from '../../api/user.ts'
import { type Attributes, type Authorizer, type Decision, noOpinion, type ResourceAttributes } from '../authorize.ts'
import { nodeRules } from '../policy/node-rules.ts'
import { compileRule } from '../rbac/rule.ts'
import type { NodeGraph } from './node-graph.ts'

export function nodeAuthorizer(graph: NodeGraph): Authorizer {
  return {
    decide(attributes) {
      const node = nodeOf(attributes.user)
      if (node === undefined) return noOpinion
      if (node === '') return refused(`unknown node for user ${JSON.stringify(attributes.user.name)}`)
      return decide(graph, node, attributes)
    },
    rulesFor: (user) => ({
      rules: [],
      errors: nodeOf(user) === undefined ? [] : ['node authorizer does not support user rule resolution'],
    }),
  }
}

const allowed: Decision = { allowed: true, reason: '' }
const refused = (reason: string): Decision => ({ allowed: false, reason })
const rules = nodeRules.map(compileRule)

/** One question of a node about one resource. */
interface Question extends ResourceAttributes {
  readonly graph: NodeGraph
  readonly node: string
  readonly verb: string
}

/** By `group/resource`: where a node may not see everything. */
const judges: Readonly<Record<string, (question: Question) => Decision>> = {
  '/secrets': readByName,
  '/configmaps': readByName,
  '/persistentvolumeclaims': (question) =>
    question.subresource === 'status' ? writeStatus(question) : getByName(question),
  '/persistentvolumes': getByName,
  'storage.k8s.io/volumeattachments': getByName,
  '/serviceaccounts': useAccount,
  'coordination.k8s.io/leases': ownLease,
  'storage.k8s.io/csinodes': ownCsiNode,
  '/nodes': ownNode,
  '/pods': ownPods,
}

function decide(graph: NodeGraph, node: string, attributes: Attributes): Decision {
  const { resource, verb } = attributes
  const judge = resource && judges[`${resource.group}/${resource.resource}`]
  if (resource && judge) return judge({ ...resource, graph, node, verb })
  return rules.some((rule) => rule.allows(attributes)) ? allowed : noOpinion
}

function related(question: Question): Decision {
  const { graph, node, resource, namespace = '', name } = question
  if (name === '') return refused('No Object name found')
  if (graph.isRelated(node, resource, { namespace, name })) return allowed
  return refused(`no relationship found between node '${node}' and this object`)
}

function readByName(question: Question): Decision {
  if (!['get', 'list', 'watch'].includes(question.verb)) return refused('can only read resources of this type')
  if (question.subresource !== '') return refused('cannot read subresource')
  if (!question.namespace) return refused('can only read namespaced object of this type')
  return related(question)
}

function getByName(question: Question): Decision {
  if (question.verb !== 'get') return refused('can only get individual resources of this type')
  if (question.subresource !== '') return refused('cannot get subresource')
  return related(question)
}

function writeStatus(question: Question): Decision {
  if (!['update', 'patch'].includes(question.verb)) return refused('can only get/update/patch this type')
  return related(question)
}

/** Makes tokens for the accounts of its pods; reads those for who fetches images with them (KEP-4412). */
function useAccount(question: Question): Decision {
  if (question.verb === 'get' && question.subresource === '') return related(question)
  if (question.verb !== 'create' || question.name === '') {
    return refused('can only create tokens for individual service accounts')
  }
  if (question.subresource !== 'token') return refused('can only create token subresource of serviceaccount')
  return related(question)
}

const ownVerbs = ['get', 'create', 'update', 'patch', 'delete']

function ownLease({ verb, namespace, name, node }: Question): Decision {
  if (!ownVerbs.includes(verb)) return refused('can only get, create, update, patch, or delete a node lease')
  if (namespace !== 'kube-node-lease')
    return refused('can only access leases in the "kube-node-lease" system namespace')
  // What is made has its name in the body: admission looks there.
  if (verb === 'create' || name === node) return allowed
  return refused('can only access node lease with the same name as the requesting node')
}

function ownCsiNode({ verb, subresource, name, node }: Question): Decision {
  if (!ownVerbs.includes(verb)) return refused('can only get, create, update, patch, or delete a CSINode')
  if (subresource !== '') return refused('cannot authorize CSINode subresources')
  if (verb === 'create' || name === node) return allowed
  return refused('can only access CSINode with the same name as the requesting node')
}

function ownNode({ verb, subresource, name, node }: Question): Decision {
  if (subresource === 'status') return ['update', 'patch'].includes(verb) ? allowed : noOpinion
  if (subresource !== '') return noOpinion
  if (['create', 'update', 'patch'].includes(verb)) return allowed
  if (!['get', 'list', 'watch'].includes(verb)) return noOpinion
  if (name === node) return allowed
  if (name === '') return refused(`node '${node}' cannot read all nodes, only its own Node object`)
  return refused(`node '${node}' cannot read '${name}', only its own Node object`)
}

function ownPods(question: Question): Decision {
  const { verb, subresource, name, node, fields } = question
  if (subresource === 'status') return ['update', 'patch'].includes(verb) ? allowed : noOpinion
  if (subresource === 'eviction') return verb === 'create' ? allowed : noOpinion
  if (subresource !== '') return noOpinion
  if (['create', 'delete'].includes(verb)) return allowed
  if (verb === 'get') return related(question)
  if (!['list', 'watch'].includes(verb)) return noOpinion
  if (fields?.['spec.nodeName'] === node) return allowed
  if (name !== '') return related(question)
  return refused('can only list/watch pods with spec.nodeName field selector')
}
