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
export type EphemeralContainer = Wire<k8s.V1EphemeralContainer>
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
export type PersistentVolume = Wire<k8s.V1PersistentVolume>
export type PersistentVolumeClaim = Wire<k8s.V1PersistentVolumeClaim>
export type PodTemplate = Wire<k8s.V1PodTemplate>
export type PodTemplateSpec = Wire<k8s.V1PodTemplateSpec>
export type ReplicationController = Wire<k8s.V1ReplicationController>
export type LimitRange = Wire<k8s.V1LimitRange>
export type ResourceQuota = Wire<k8s.V1ResourceQuota>
export type ComponentStatus = Wire<k8s.V1ComponentStatus>
export type LabelSelector = Wire<k8s.V1LabelSelector>
export type Condition = Wire<k8s.V1Condition>
export type ControllerRevision = Wire<k8s.V1ControllerRevision>
export type DaemonSet = Wire<k8s.V1DaemonSet>
export type Deployment = Wire<k8s.V1Deployment>
export type ReplicaSet = Wire<k8s.V1ReplicaSet>
export type StatefulSet = Wire<k8s.V1StatefulSet>
export type TokenRequest = Wire<k8s.AuthenticationV1TokenRequest>
export type TokenReview = Wire<k8s.V1TokenReview>
export type SelfSubjectReview = Wire<k8s.V1SelfSubjectReview>
export type SubjectAccessReview = Wire<k8s.V1SubjectAccessReview>
export type LocalSubjectAccessReview = Wire<k8s.V1LocalSubjectAccessReview>
export type SelfSubjectAccessReview = Wire<k8s.V1SelfSubjectAccessReview>
export type SelfSubjectRulesReview = Wire<k8s.V1SelfSubjectRulesReview>
export type Scale = Wire<k8s.V1Scale>
export type HorizontalPodAutoscaler = Wire<k8s.V2HorizontalPodAutoscaler>
export type HorizontalPodAutoscalerV1 = Wire<k8s.V1HorizontalPodAutoscaler>
export type CronJob = Wire<k8s.V1CronJob>
export type Job = Wire<k8s.V1Job>
export type CertificateSigningRequest = Wire<k8s.V1CertificateSigningRequest>
export type EventsEvent = Wire<k8s.EventsV1Event>
export type IPAddress = Wire<k8s.V1IPAddress>
export type Ingress = Wire<k8s.V1Ingress>
export type IngressClass = Wire<k8s.V1IngressClass>
export type NetworkPolicy = Wire<k8s.V1NetworkPolicy>
export type ServiceCIDR = Wire<k8s.V1ServiceCIDR>
export type RuntimeClass = Wire<k8s.V1RuntimeClass>
export type Eviction = Wire<k8s.V1Eviction>
export type PodDisruptionBudget = Wire<k8s.V1PodDisruptionBudget>
export type ClusterRole = Wire<k8s.V1ClusterRole>
export type ClusterRoleBinding = Wire<k8s.V1ClusterRoleBinding>
export type Role = Wire<k8s.V1Role>
export type RoleBinding = Wire<k8s.V1RoleBinding>
export type PolicyRule = Wire<k8s.V1PolicyRule>
export type RbacSubject = Wire<k8s.RbacV1Subject>
export type PriorityClass = Wire<k8s.V1PriorityClass>
export type CSIDriver = Wire<k8s.V1CSIDriver>
export type CSINode = Wire<k8s.V1CSINode>
export type CSIStorageCapacity = Wire<k8s.V1CSIStorageCapacity>
export type StorageClass = Wire<k8s.V1StorageClass>
export type VolumeAttachment = Wire<k8s.V1VolumeAttachment>
export type VolumeAttributesClass = Wire<k8s.V1VolumeAttributesClass>

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
