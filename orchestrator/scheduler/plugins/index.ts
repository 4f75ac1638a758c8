import type { Plugins } from '../framework.ts'
import { extendedResources } from './extended-resources.ts'
import { nodeAffinity } from './node-affinity.ts'
import { nodePorts } from './node-ports.ts'
import { balancedAllocation, leastAllocated, nodeResourcesFit } from './node-resources-fit.ts'
import { taintToleration } from './taint-toleration.ts'

/** The default profile: cheap filters first. */
export const defaultPlugins: Plugins = {
  filters: [taintToleration, nodeAffinity, nodePorts, nodeResourcesFit, extendedResources],
  scores: [leastAllocated, balancedAllocation],
}
