/** `--runtime-handler`: other OCI runtimes of the machine, for RuntimeClasses to name. */
import { accessSync, constants } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { Command } from 'commander'
import { CoracleError, messageOf } from '../runtime/base/errors.ts'
import type { RuntimeHandler } from '../runtime/index.ts'

export interface HandlerFlags {
  runtimeHandler: string[]
}

export function addHandlerOptions(command: Command): Command {
  return command.option(
    '--runtime-handler <name=path>',
    'an OCI runtime of this machine (runc, crun, …) for the RuntimeClasses with this handler; may be repeated',
    (value: string, before: string[]) => [...before, value],
    [],
  )
}

/** The name under which our own runtime may be asked for, beside the empty one. */
const ownName = 'coracle'

/** Throws BAD_FLAG for a name that no RuntimeClass could have, one that is there twice, and a program that cannot run. */
export function runtimeHandlersOf({ runtimeHandler }: HandlerFlags): ReadonlyMap<string, RuntimeHandler> {
  const found = new Map<string, RuntimeHandler>()
  for (const value of runtimeHandler) {
    const [name = '', ...rest] = value.split('=')
    const binary = rest.join('=')
    const refused = (why: string) => new CoracleError(`--runtime-handler ${value}: ${why}`, { code: 'BAD_FLAG' })
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) throw refused('the name must be a DNS label')
    if (name === ownName) throw refused(`${ownName} is this node's own runtime`)
    if (found.has(name)) throw refused(`${name} is there twice`)
    if (!isAbsolute(binary)) throw refused('the path of the program must be absolute')
    try {
      accessSync(binary, constants.X_OK)
    } catch (error) {
      throw refused(messageOf(error))
    }
    found.set(name, { name, binary })
  }
  return found
}
