import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { type Credentials, type Images, openImages, type PullProgress } from '../images/index.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'

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
    await withImages(options, async (store) => printTable(await store.list()))
  })
  add('load <file>', 'loads the images of an archive (OCI or docker save)').action(
    async (file: string, options: Options) => {
      await withImages(options, async (store) => printTable(await store.load(file)))
    },
  )
  add('pull <image>', 'fetches an image from its registry')
    .option('--user <name:password>', 'user of the registry, or $CORACLE_REGISTRY_USER')
    .option('--password-file <file>', 'file with the password, instead of writing it behind the name')
    .option('--insecure-registry <host...>', 'registries that may be spoken to without TLS', [])
    .action(async (image: string, options: PullCommandOptions) => {
      const auth = credentialsOf(options)
      await withImages(options, async (store) =>
        printTable([await store.pull(image, { ...(auth ? { auth } : {}), onProgress: progressLine() })]),
      )
    })
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
  return images
}

interface Options {
  dataDir: string
  insecureRegistry?: string[]
}

interface PullCommandOptions extends Options {
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

function credentialsOf({ user, passwordFile }: PullCommandOptions): Credentials | undefined {
  const given = user ?? process.env.CORACLE_REGISTRY_USER
  if (given === undefined) return undefined
  if (passwordFile !== undefined) return { username: given, password: readFileSync(passwordFile, 'utf8').trimEnd() }
  const colon = given.indexOf(':')
  if (colon < 0) throw new CoracleError('read --user: the password is missing', { code: 'IMAGE_UNAUTHORIZED' })
  return { username: given.slice(0, colon), password: given.slice(colon + 1) }
}

type Row = Awaited<ReturnType<Images['list']>>[number]

function printTable(records: readonly Row[]): void {
  const rows = records.flatMap(({ id, references, size }) => {
    const names = references.filter((name) => !name.includes('@'))
    const shown = names.length > 0 ? names : references.slice(0, 1)
    return (shown.length > 0 ? shown : ['<none>']).map((name) => [
      name,
      id.slice(7, 19),
      `${(size / 1e6).toFixed(1)} MB`,
    ])
  })
  const lines = [['IMAGE', 'ID', 'SIZE'], ...rows]
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  for (const line of lines)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
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
