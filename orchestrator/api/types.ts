import type * as k8s from '@kubernetes/client-node'

/**
 * The Kubernetes types as they are on the wire: dates are RFC 3339 strings, and names that the client library
 * escapes (`_from`, `_continue`) are themselves again. Types only: nothing of the library is loaded.
 */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T as Key extends `_${infer Name}` ? Name : Key]: Wire<T[Key]> }
      : T

export type ObjectMeta = Wire<k8s.V1ObjectMeta>
export type OwnerReference = Wire<k8s.V1OwnerReference>
export type Pod = Wire<k8s.V1Pod>
export type PodSpec = Wire<k8s.V1PodSpec>
export type PodStatus = Wire<k8s.V1PodStatus>
export type PodCondition = Wire<k8s.V1PodCondition>
export type Container = Wire<k8s.V1Container>
export type ContainerStatus = Wire<k8s.V1ContainerStatus>
export type ContainerState = Wire<k8s.V1ContainerState>
export type EnvVar = Wire<k8s.V1EnvVar>
export type Volume = Wire<k8s.V1Volume>
export type VolumeMount = Wire<k8s.V1VolumeMount>
export type Probe = Wire<k8s.V1Probe>
export type Node = Wire<k8s.V1Node>
export type NodeCondition = Wire<k8s.V1NodeCondition>
export type Namespace = Wire<k8s.V1Namespace>
export type Binding = Wire<k8s.V1Binding>
export type ConfigMap = Wire<k8s.V1ConfigMap>
export type Secret = Wire<k8s.V1Secret>
export type Service = Wire<k8s.V1Service>
export type ServiceAccount = Wire<k8s.V1ServiceAccount>
export type Endpoints = Wire<k8s.V1Endpoints>
export type EndpointSlice = Wire<k8s.V1EndpointSlice>
export type Event = Wire<k8s.CoreV1Event>
export type Lease = Wire<k8s.V1Lease>
export type Status = Wire<k8s.V1Status>

/** What every stored object has. */
export interface KubeObject {
  apiVersion?: string
  kind?: string
  metadata?: ObjectMeta
}

/** Names one resource in the API, and carries the type of its objects. */
export interface ResourceRef<T extends KubeObject> {
  readonly group: string
  readonly version: string
  /** Plural, lower case: the path segment. */
  readonly resource: string
  readonly kind: string
  readonly namespaced: boolean
  /** Never set: carries T. */
  readonly type?: T
}
