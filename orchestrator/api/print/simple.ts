/** Kinds whose row needs no thought. Source: k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Printer } from '../kinds/kind.ts'
import type { ComponentStatus, ConfigMap, Lease, Namespace, Secret, ServiceAccount } from '../types.ts'
import { ageColumn, ageOf, column, nameColumn } from './cells.ts'

/** Name and age: for kinds that people rarely look at. */
export const namePrinter: Printer = {
  columns: [nameColumn, ageColumn],
  cells: (object, now) => [object.metadata?.name ?? '', ageOf(object, now)],
}

export const namespacePrinter: Printer<Namespace> = {
  columns: [nameColumn, column('Status', 'The status of the namespace'), ageColumn],
  cells: (namespace, now) => [namespace.metadata?.name ?? '', namespace.status?.phase ?? '', ageOf(namespace, now)],
}

const sizeOf = (...maps: (object | undefined)[]) =>
  String(maps.reduce((sum, map) => sum + Object.keys(map ?? {}).length, 0))

export const configMapPrinter: Printer<ConfigMap> = {
  columns: [nameColumn, column('Data', 'Number of entries'), ageColumn],
  cells: (map, now) => [map.metadata?.name ?? '', sizeOf(map.data, map.binaryData), ageOf(map, now)],
}

export const secretPrinter: Printer<Secret> = {
  columns: [
    nameColumn,
    column('Type', 'Used to facilitate programmatic handling of secret data.'),
    column('Data', 'Number of entries'),
    ageColumn,
  ],
  cells: (secret, now) => [secret.metadata?.name ?? '', secret.type ?? '', sizeOf(secret.data), ageOf(secret, now)],
}

export const serviceAccountPrinter: Printer<ServiceAccount> = {
  columns: [nameColumn, column('Secrets', 'Number of secrets'), ageColumn],
  cells: (account, now) => [account.metadata?.name ?? '', String(account.secrets?.length ?? 0), ageOf(account, now)],
}

export const leasePrinter: Printer<Lease> = {
  columns: [nameColumn, column('Holder', 'Who holds the lease'), ageColumn],
  cells: (lease, now) => [lease.metadata?.name ?? '', lease.spec?.holderIdentity ?? '', ageOf(lease, now)],
}

/** One row a component: whether it is well, and what it says. */
export const componentStatusPrinter: Printer<ComponentStatus> = {
  columns: [
    nameColumn,
    column('Status', 'Whether the component is healthy'),
    column('Message', 'What the component says'),
    column('Error', 'What is wrong'),
  ],
  cells({ metadata, conditions }) {
    const healthy = conditions?.find(({ type }) => type === 'Healthy')
    const status = healthy?.status === 'True' ? 'Healthy' : healthy ? 'Unhealthy' : 'Unknown'
    return [metadata?.name ?? '', status, healthy?.message ?? '', healthy?.error ?? '']
  },
}
