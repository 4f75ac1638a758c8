/**
 * Who our own parts are to the API server: the users that Kubernetes gives them, with the default roles and the Node
 * authorizer to say what they may. Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy.
 */
import {
  authenticatedGroup,
  mastersGroup,
  nodesGroup,
  nodeUser,
  serviceAccountGroups,
  serviceAccountUser,
  type User,
} from './user.ts'

export interface Part {
  readonly user: User
  /** Owns the fields that this part writes; the program that has this part upstream. */
  readonly manager: string
}

const known = (name: string, ...groups: string[]): User => ({ name, groups: [...groups, authenticatedGroup] })

/** The API server itself: before there are roles, somebody must make them. */
export const apiServerPart: Part = { user: known('system:apiserver', mastersGroup), manager: 'kube-apiserver' }

export const schedulerPart: Part = { user: known('system:kube-scheduler'), manager: 'kube-scheduler' }

const managerProgram = 'kube-controller-manager'

/** What all controllers have in common: the caches that feed them, their election, and the tokens of secrets. */
export const controllerManagerPart: Part = { user: known('system:kube-controller-manager'), manager: managerProgram }

/** One controller, by the name of its service account in kube-system: `namespace-controller`. */
export function controllerPart(account: string): Part {
  const namespace = 'kube-system'
  const user = known(serviceAccountUser(namespace, account), ...serviceAccountGroups(namespace))
  return { user, manager: managerProgram }
}

/** The agent of a node, with all that it does there. */
export function nodePart(nodeName: string): Part {
  return { user: known(nodeUser(nodeName), nodesGroup), manager: 'kubelet' }
}
