import { specInvalid } from './errors.ts'
import { memoryPolicyFlags, memoryPolicyModes } from './names.ts'
import { maskOf } from './number-list.ts'
import type { OciMemoryPolicy, OciSpec } from './types.ts'

/** What set_mempolicy(2) takes; no bytes of `nodes` are no nodes. */
export interface MemoryPolicy {
  mode: number
  nodes: Uint8Array
}

/** MAX_NUMNODES of the kernels of distributions. */
const mostNodes = 1024

const withoutNodes = ['MPOL_DEFAULT', 'MPOL_LOCAL']
const withNodes = ['MPOL_BIND', 'MPOL_INTERLEAVE', 'MPOL_PREFERRED_MANY', 'MPOL_WEIGHTED_INTERLEAVE']
/** Either says what the nodes mean when the processor set changes, so they exclude each other. */
const meanings = ['MPOL_F_STATIC_NODES', 'MPOL_F_RELATIVE_NODES']

/** `linux.memoryPolicy` in numbers. Throws SPEC_INVALID, in runc's words, for what the kernel would answer with EINVAL. */
export function memoryPolicyOf({ mode = '', nodes = '', flags = [] }: OciMemoryPolicy): MemoryPolicy {
  const refused = (what: string, value: string, why = 'is not known') =>
    specInvalid('linux.memoryPolicy', `invalid memory policy ${what} ${JSON.stringify(value)}: ${why}`)
  const number = memoryPolicyModes.indexOf(mode)
  if (number < 0) throw refused('mode', mode)
  const bits = flags.map((flag) => memoryPolicyFlags[flag] ?? 0)
  const unknown = bits.indexOf(0)
  if (unknown >= 0) throw refused('flag', flags[unknown] ?? '')
  if (meanings.every((flag) => flags.includes(flag)))
    throw refused('flag', meanings.join(' '), 'they exclude each other')
  const mask = nodes === '' ? new Uint8Array() : nodesOf(nodes)
  const count = mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
  if (withoutNodes.includes(mode) && count > 0) throw refused('mode', mode, `mode requires 0 nodes but got ${count}`)
  if (withNodes.includes(mode) && count === 0) throw refused('mode', mode, 'mode requires at least 1 node but got 0')
  return { mode: bits.reduce((all, bit) => all | bit, number), nodes: mask }
}

function nodesOf(list: string): Uint8Array {
  return maskOf('linux.memoryPolicy.nodes', list, {
    noun: 'node',
    most: mostNodes,
    complaint: 'invalid memory policy node: ',
  })
}

/** Throws SPEC_INVALID. */
export function checkMemoryPolicy({ linux }: OciSpec): void {
  if (linux?.memoryPolicy) memoryPolicyOf(linux.memoryPolicy)
}
