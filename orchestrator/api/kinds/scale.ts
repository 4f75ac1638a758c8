/** What `…/scale` of a workload speaks: autoscaling/v1 Scale. It is no resource of its own. */
import type { Scale } from '../types.ts'
import { inGroup } from './define.ts'

export const scaleKind = inGroup(
  'autoscaling',
  'v1',
  'io.k8s.api.autoscaling.v1.',
)<Scale>({
  kind: 'Scale',
  resource: 'scales',
  namespaced: true,
  storedAt: '',
  verbs: [],
})
