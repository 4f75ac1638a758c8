/** The runtimes of this machine by the names that RuntimeClasses have for them (KEP-585; CRI: runtime_handler). */
import type { RuntimeHandler } from '../../runtime/index.ts'

/** What runs pods without a class, which a class may also ask for. */
export const ownHandlers: readonly string[] = ['', 'coracle']

/** Undefined for our own runtime. Throws, in containerd's words, for a name that this node does not know. */
export function handlerNamed(name: string, others: ReadonlyMap<string, RuntimeHandler>): RuntimeHandler | undefined {
  if (ownHandlers.includes(name)) return undefined
  const handler = others.get(name)
  if (!handler) throw new Error(`no runtime for "${name}" is configured`)
  return handler
}
