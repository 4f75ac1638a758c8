import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import type { Credentials, ImageRecord, PullProgress } from '../images/index.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import { addArchiveCommands } from './images-archives.ts'
import { addLocalCommands } from './images-local.ts'
import { type Options, withImages } from './images-open.ts'
import { imageRows, imageTable } from './images-print.ts'

const defaultDataDir = '/var/lib/coracle'

/** `coracle images …`: the images of this host. Works beside a running node, on the same store. */
export function imagesCommand(): Command {
  const images = new Command('images').description('images of this host')
  const add = (usage: string, description: string) =>
    images
      .command(usage)
      .description(description)
      .option('--data-dir <folder>', 'where Coracle keeps its data', defaultDataDir)
  addLocalCommands(add)
  addArchiveCommands(add)
  const remote = (usage: string, description: string) =>
    add(usage, description)
      .option('--user <name:password>', 'user of the registry, or $CORACLE_REGISTRY_USER')
      .option('--password-file <file>', 'file with the password, instead of writing it behind the name')
      .option('--insecure-registry <host...>', 'registries that may be spoken to without TLS', [])
  remote('pull <image>', 'fetches an image from its registry').action(async (image: string, options: RemoteOptions) => {
    const request = { ...credentialsOf(options), onProgress: progressLine() }
    await withImages(options, async (store) => console.log(pulledTable(await store.pull(image, request))))
  })
  remote('push <image>', 'sends an image to the registry that its name says').action(
    async (image: string, options: RemoteOptions) => {
      await withImages(options, (store) => store.push(image, credentialsOf(options)))
    },
  )
  return images
}

const pulledTable = (record: ImageRecord) =>
  imageTable(imageRows([record], { filters: [], now: Date.now(), trunc: true }), { digests: false })

interface RemoteOptions extends Options {
  user?: string
  passwordFile?: string
}

function credentialsOf({ user, passwordFile }: RemoteOptions): { auth?: Credentials } {
  const given = user ?? process.env.CORACLE_REGISTRY_USER
  if (given === undefined) return {}
  if (passwordFile !== undefined) {
    return { auth: { username: given, password: readFileSync(passwordFile, 'utf8').trimEnd() } }
  }
  const colon = given.indexOf(':')
  if (colon < 0) throw new CoracleError('read --user: the password is missing', { code: 'IMAGE_UNAUTHORIZED' })
  return { auth: { username: given.slice(0, colon), password: given.slice(colon + 1) } }
}

/** One line that is written over, on a terminal only. */
function progressLine(): (progress: PullProgress) => void {
  const blobs = new Map<string, PullProgress>()
  return (progress) => {
    if (!process.stderr.isTTY) return
    blobs.set(progress.digest, progress)
    const sum = (key: 'received' | 'total') => [...blobs.values()].reduce((all, one) => all + one[key], 0) / 1e6
    process.stderr.write(`\r${sum('received').toFixed(1)} of ${sum('total').toFixed(1)} MB`)
  }
}
