import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { addedMounts, addMount, removeMount } from '../runtime/container/mounts.ts'
import { stateOf } from '../runtime/container/state.ts'
import type { OciMount } from '../runtime/spec/types.ts'
import { type Act, type Place, print, usage } from './oci-act.ts'

/** `mounts add|remove|list`: mounts of a container that runs already. */
export function mounting(oci: Command, place: Place, act: Act): void {
  const mounts = oci.command('mounts').description('mounts that are added to a running container')
  mounts
    .command('add <id> [file]')
    .description('mount what a JSON file lists as config.json would (- is standard input), or --mount describes')
    .option('-m, --mount <fields>', 'type=bind,source=/host,destination=/inside,options=rbind:ro', oneMore)
    .action(
      act(async (id: string, file: string | undefined, { mount = [] }: { mount?: string[] }) => {
        const listed = file === undefined ? [] : fromFile(file)
        const all = [...listed, ...mount.map(fromFields)]
        if (all.length === 0) throw usage('mounts add: neither a file nor --mount says what to mount')
        for (const one of all) await addMount(place().root, id, one)
      }),
    )
  mounts
    .command('remove <id> <destination...>')
    .description('take away what has been added there')
    .action(
      act(async (id: string, destinations: string[]) => {
        for (const destination of destinations) await removeMount(place().root, id, destination)
      }),
    )
  mounts
    .command('list <id>')
    .description('print what has been added, as JSON')
    .action(
      act((id: string) => {
        stateOf(place().root, id)
        print(JSON.stringify(addedMounts(place().root, id), null, 2))
      }),
    )
}

function fromFile(file: string): OciMount[] {
  const read = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8')) as OciMount | OciMount[]
  return Array.isArray(read) ? read : [read]
}

/** `key=value,…` with the names of config.json; options are separated by colons. */
function fromFields(text: string): OciMount {
  const fields: Record<string, string> = {}
  for (const field of text.split(',')) {
    const [key = '', ...value] = field.split('=')
    if (!['type', 'source', 'destination', 'options'].includes(key))
      throw usage(`--mount: ${key} is not a field of a mount`)
    fields[key] = value.join('=')
  }
  const { destination, options, ...rest } = fields
  if (!destination) throw usage(`--mount ${text}: no destination`)
  return { ...rest, destination, options: options?.split(':') ?? [] }
}

function oneMore(value: string, before: string[] = []): string[] {
  return [...before, value]
}
