import { statSync } from 'node:fs'
import { posix } from 'node:path'
import { exclusively } from '../runtime/container/lock.ts'
import { addedMounts, addMount, removeMount } from '../runtime/container/mounts.ts'
import { stateOf } from '../runtime/container/state.ts'
import type { OciMount } from '../runtime/spec/types.ts'
import { type Call, inputOf, print, usage, type Verb } from './oci-act.ts'

/** `mounts add|remove|list`: mounts of a container that runs already. */
export const verbs: Readonly<Record<string, Verb>> = {
  mounts: {
    args: 'add <id> [file] | remove <id> [file] [destination...] | list <id>',
    does: 'mounts that are added to a running container; file lists them as config.json would (- is standard input)',
    flags: ['-m, --mount <fields>...  type=bind,source=/host,destination=/inside,options=rbind:ro'],
    takes: [2, Number.POSITIVE_INFINITY],
    act: mounting,
  },
}

async function mounting({ root, args, flags }: Call): Promise<void> {
  const [act, id = '', ...rest] = args
  if (act === 'list') {
    stateOf(root, id)
    return print(JSON.stringify(addedMounts(root, id), null, 2))
  }
  if (act === 'remove') {
    return exclusively(root, id, async () => {
      for (const destination of rest.flatMap((word) => named(word, addedMounts(root, id))))
        await removeMount(root, id, destination)
    })
  }
  if (act !== 'add') throw usage(`mounts ${act}: is none of add, remove, list`)
  const listed = rest[0] === undefined ? [] : fromFile(rest[0])
  const all = [...listed, ...flags.all('mount').map(fromFields)]
  if (all.length === 0) throw usage('mounts add: neither a file nor --mount says what to mount')
  await exclusively(root, id, async () => {
    for (const one of all) await addMount(root, id, one)
  })
}

/** A destination at which something has been added, or as with add a file that lists mounts. */
function named(word: string, added: readonly OciMount[]): string[] {
  const isDestination = added.some(({ destination }) => destination === posix.resolve('/', word))
  const isFile = word === '-' || statSync(word, { throwIfNoEntry: false })?.isFile()
  return isDestination || !isFile ? [word] : fromFile(word).map(({ destination }) => destination)
}

function fromFile(file: string): OciMount[] {
  const read = JSON.parse(inputOf(file)) as OciMount | OciMount[]
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
