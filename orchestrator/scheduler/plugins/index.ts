import type { Plugins } from '../framework.ts'
import { nodeAffinity } from './node-affinity.ts'
import { balancedAllocation, leastAllocated, nodeResourcesFit } from './node-resources-fit.ts'
import { taintToleration } from './taint-toleration.ts'
import { unsupportedConstraints } from './unsupported-constraints.ts'

/** The default profile: cheap filters first. */
export const defaultPlugins: Plugins = {
  filters: [unsupportedConstraints, taintToleration, nodeAffinity, nodeResourcesFit],
  scores: [leastAllocated, balancedAllocation],
}
