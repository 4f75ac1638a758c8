import type { Plugins } from '../framework.ts'
import { extendedResources } from './extended-resources.ts'
import { nodeAffinity } from './node-affinity.ts'
import { nodePorts } from './node-ports.ts'
import { balancedAllocation, leastAllocated, nodeResourcesFit } from './node-resources-fit.ts'
import { taintToleration } from './taint-toleration.ts'
import { unsupportedConstraints } from './unsupported-constraints.ts'

/** The default profile: cheap filters first. */
export const defaultPlugins: Plugins = {
  filters: [unsupportedConstraints, taintToleration, nodeAffinity, nodePorts, nodeResourcesFit, extendedResources],
  scores: [leastAllocated, balancedAllocation],
}
