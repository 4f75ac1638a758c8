import type { Kind } from '../api/kinds/kind.ts'
import type { KubeObject } from '../api/types.ts'
import type { User } from '../api/user.ts'

/** One write, before it is validated and stored. */
export interface AdmissionRequest {
  readonly verb: 'create' | 'update' | 'delete'
  readonly kind: Kind
  readonly namespace?: string
  readonly name: string
  readonly subresource?: string
  /** What is to be stored; mutating plugins may change it. Unset for a deletion. */
  readonly object?: KubeObject
  /** What is stored now. Unset for a creation. */
  readonly old?: KubeObject
  readonly user: User
  readonly dryRun: boolean
  /** Takes sentences for `Warning` headers. */
  warn(text: string): void
  /** Takes a fact for the audit log. Unset where nobody keeps one. */
  readonly annotate?: Annotate
}

/** `key` with the domain of its plugin, once a request: a later value replaces the earlier one. */
export type Annotate = (key: string, value: string) => void

/** A policy. Either function throws a StatusError to refuse the request. */
export interface AdmissionPlugin {
  readonly name: string
  mutate?(request: AdmissionRequest): void | Promise<void>
  validate?(request: AdmissionRequest): void | Promise<void>
  /** The write has ended, well or not: what was held for it until it is in the store is let go. Throws nothing. */
  ended?(request: AdmissionRequest): void
}

/** Plugins in the order in which they are asked: all of `mutate`, then, after the object is validated, all of `validate`. */
export type AdmissionChain = readonly AdmissionPlugin[]

/** Lets every plugin change or refuse the request. Undefined: nobody has to be waited for, as with most writes. */
export function mutate(chain: AdmissionChain, request: AdmissionRequest): Promise<void> | undefined {
  return inTurn(chain, (plugin) => plugin.mutate?.(request))
}

/** Lets every plugin refuse the request as it will be stored. Undefined as above. */
export function validate(chain: AdmissionChain, request: AdmissionRequest): Promise<void> | undefined {
  return inTurn(chain, (plugin) => plugin.validate?.(request))
}

function inTurn(
  chain: AdmissionChain,
  ask: (plugin: AdmissionPlugin) => void | Promise<void>,
): Promise<void> | undefined {
  let asked = 0
  for (const plugin of chain) {
    asked++
    const work = ask(plugin)
    if (work !== undefined) return work.then(() => inTurn(chain.slice(asked), ask))
  }
  return undefined
}

/** Must be called when a write has ended, well or not, once it was shown to any plugin. */
export function tellEnded(chain: AdmissionChain, request: AdmissionRequest): void {
  for (const plugin of chain) plugin.ended?.(request)
}

/** True if the request makes a pod. */
export function isNewPod({ verb, kind, subresource }: AdmissionRequest): boolean {
  return verb === 'create' && kind.resource === 'pods' && kind.group === '' && !subresource
}
