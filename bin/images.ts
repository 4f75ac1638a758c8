import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { type Credentials, type Images, type ImageUsage, openImages, type PullProgress } from '../images/index.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { bytes, type DiskUse, diskTable, historyTable, imageTable } from './images-print.ts'

const defaultDataDir = '/var/lib/coracle'

/** `coracle images …`: the images of this host. Works beside a running node, on the same store. */
export function imagesCommand(): Command {
  const images = new Command('images').description('images of this host')
  const add = (usage: string, description: string) =>
    images
      .command(usage)
      .description(description)
      .option('--data-dir <folder>', 'where Coracle keeps its data', defaultDataDir)
  add('ls', 'lists the images').action(async (options: Options) => {
    await withImages(options, async (store) => console.log(imageTable(await store.list(), Date.now())))
  })
  add('load <file>', 'loads the images of an archive (OCI or docker save)').action(
    async (file: string, options: Options) => {
      await withImages(options, async (store) => console.log(imageTable(await store.load(file), Date.now())))
    },
  )
  const remote = (usage: string, description: string) =>
    add(usage, description)
      .option('--user <name:password>', 'user of the registry, or $CORACLE_REGISTRY_USER')
      .option('--password-file <file>', 'file with the password, instead of writing it behind the name')
      .option('--insecure-registry <host...>', 'registries that may be spoken to without TLS', [])
  remote('pull <image>', 'fetches an image from its registry').action(async (image: string, options: RemoteOptions) => {
    const request = { ...credentialsOf(options), onProgress: progressLine() }
    await withImages(options, async (store) => console.log(imageTable([await store.pull(image, request)], Date.now())))
  })
  remote('push <image>', 'sends an image to the registry that its name says').action(
    async (image: string, options: RemoteOptions) => {
      await withImages(options, (store) => store.push(image, credentialsOf(options)))
    },
  )
  add('inspect <image>', 'prints what is known of an image, as JSON').action(
    async (image: string, options: Options) => {
      await withImages(options, async (store) => {
        const record = await store.inspect(image)
        if (!record)
          throw new CoracleError(`inspect image ${image}: this host does not have it`, { code: 'IMAGE_NOT_FOUND' })
        console.log(JSON.stringify(record, null, 2))
      })
    },
  )
  add('rm <image...>', 'removes images, and layers that nobody else needs').action(
    async (names: string[], options: Options) => {
      await withImages(options, async (store) => {
        for (const name of names) await store.remove(name)
      })
    },
  )
  addHabits(add)
  return images
}

/** What people are used to from docker and podman, and what needs no registry. */
function addHabits(add: (usage: string, description: string) => Command): void {
  add('tag <image> <name>', 'gives an image another name').action(
    async (image: string, name: string, options: Options) => {
      await withImages(options, async (store) => {
        await store.tag(image, name)
      })
    },
  )
  add('history <image>', 'shows how an image came about').action(async (image: string, options: Options) => {
    await withImages(options, async (store) => {
      const steps = await store.history(image)
      console.log(historyTable((await store.inspect(image))?.id ?? '', steps, Date.now()))
    })
  })
  add('save <image...>', 'writes images as an OCI archive')
    .requiredOption('-o, --output <file>', 'the archive')
    .action(async (names: string[], options: Options & { output: string }) => {
      await withImages(options, (store) => store.save(names, options.output))
    })
  add('prune', 'removes images without a name, and layers that nobody needs')
    .option('-a, --all', 'all images that no container uses')
    .action(async (options: Options & { all?: boolean }) => {
      await withImages(options, async (store) => {
        const removed = await store.prune({ all: options.all ?? false })
        for (const { id, references } of removed) console.log(`removed: ${references[0] ?? id}`)
        console.log(`Total reclaimed space: ${bytes(removed.reduce((sum, { size }) => sum + size, 0))}`)
      })
    })
  add('df', 'shows how much the images take').action(async (options: Options) => {
    await withImages(options, async (store) => console.log(diskTable([await store.usage()].map(asDiskUse))))
  })
}

function asDiskUse({ total, active, size, reclaimable }: ImageUsage): DiskUse {
  return { type: 'Images', total, active, size, reclaimable }
}

interface Options {
  dataDir: string
  insecureRegistry?: string[]
}

interface RemoteOptions extends Options {
  user?: string
  passwordFile?: string
}

async function withImages(options: Options, act: (images: Images) => Promise<void>): Promise<void> {
  const images = await openImages({
    root: join(options.dataDir, 'images'),
    log: consoleLog,
    insecureRegistries: options.insecureRegistry ?? [],
  })
  try {
    await act(images)
  } finally {
    await images.close()
  }
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

const consoleLog: Log = {
  debug() {},
  info() {},
  warn: (message, facts) => console.error(`warning: ${message}`, facts ?? ''),
  error: (message, facts) => console.error(message, facts ?? ''),
}
