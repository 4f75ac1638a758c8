/** Source: k8s.io/kubernetes/pkg/apis/core/v1/defaults.go. */
import type { Volume } from '../types.ts'
import { pullPolicyOf } from './container.ts'

const readableByAll = 0o644
const hour = 3600

/** Sets what a volume leaves open. One without any source is an emptyDir. */
export function setVolumeDefaults(volume: Volume): void {
  if (Object.keys(volume).every((key) => key === 'name')) volume.emptyDir = {}
  if (volume.hostPath) volume.hostPath.type ??= ''
  if (volume.image) volume.image.pullPolicy ??= pullPolicyOf(volume.image.reference ?? '')
  for (const source of [volume.secret, volume.configMap, volume.downwardAPI, volume.projected]) {
    if (source) source.defaultMode ??= readableByAll
  }
  const projections = volume.projected?.sources ?? []
  for (const { serviceAccountToken } of projections) {
    if (serviceAccountToken) serviceAccountToken.expirationSeconds ??= hour
  }
  const items = [volume.downwardAPI, ...projections.map(({ downwardAPI }) => downwardAPI)].flatMap(
    (source) => source?.items ?? [],
  )
  for (const item of items) {
    if (item.fieldRef) item.fieldRef.apiVersion ??= 'v1'
    if (item.resourceFieldRef) item.resourceFieldRef.divisor ??= '0'
  }
}
