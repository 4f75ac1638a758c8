/** `coracle images …`: archives, and the files of containers. */
import { closeSync, openSync } from 'node:fs'
import { join, resolve } from 'node:path'
import {
  type CopyOptions,
  copyBetween,
  extractInto,
  type Images,
  type Place,
  type SaveFormat,
  saveFormats,
  tarOfSource,
} from '../images/index.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import { pause, resume } from '../runtime/container/pause.ts'
import { type FoundContainer, findContainer } from './images-containers.ts'
import { type Add, type Options, withImages } from './images-open.ts'
import { imageRows, imageTable } from './images-print.ts'
import { stderrBoard } from './progress.ts'

export function addArchiveCommands(add: Add): void {
  add('load [file]', 'loads the images of an archive (OCI or docker save, also gzip or zstd) or of an OCI layout')
    .option('-i, --input <file>', 'the archive or folder; without it, or with -, standard input')
    .option('-q, --quiet', 'no progress')
    .action(async (file: string | undefined, options: Options & { input?: string; quiet?: boolean }) => {
      await withImages(options, async (store) => {
        const board = stderrBoard(options)
        const source = sourceOf(file ?? options.input ?? '-')
        const records = await store.load(source, { onProgress: board.pulling }).finally(board.close)
        console.log(imageTable(imageRows(records, { filters: [], now: Date.now(), trunc: true }), { digests: false }))
      })
    })
  add('save <image...>', 'writes images as an archive')
    .option('-o, --output <file>', 'the archive or folder; without it, or with -, standard output')
    .option('--format <format>', `${saveFormats.join(', ')}`, 'docker-archive')
    .action(save)
  add('import <file> [name]', 'makes an image of a tar archive of a root; - is standard input')
    .option('-c, --change <instruction...>', 'instructions of a Dockerfile, as CMD ["sh"] or ENV A=b', [])
    .option('-m, --message <text>', 'what history shows')
    .option('-q, --quiet', 'no progress')
    .action(importArchive)
  add('commit <container> [name]', 'makes an image of a container')
    .option('-a, --author <text>', 'who made it')
    .option('-m, --message <text>', 'what history shows')
    .option('-c, --change <instruction...>', 'instructions of a Dockerfile, as CMD ["sh"] or ENV A=b', [])
    .option('--no-pause', 'lets the container run on meanwhile')
    .action(commit)
  add('diff <container>', 'shows what a container has added (A), changed (C) and deleted (D)').action(
    async (name: string, options: Options) => {
      await withImages(options, async (store) => {
        const { id } = await findContainer(store, options.dataDir, name)
        for (const { kind, path } of await store.diff(id)) console.log(`${kind} ${path}`)
      })
    },
  )
  add('cp <source> <destination>', 'copies between a container (CONTAINER:PATH) and this host; - is a tar archive')
    .option('-L, --follow-link', 'copies what a link leads to')
    .option('-a, --archive', 'keeps owners and special modes')
    .action(copy)
}

interface ImportFlags extends Options {
  change: string[]
  message?: string
  quiet?: boolean
}

async function importArchive(file: string, ref: string | undefined, options: ImportFlags): Promise<void> {
  const { message, change: changes } = options
  await withImages(options, async (store) => {
    const board = stderrBoard(options)
    const more = { ...(ref === undefined ? {} : { ref }), ...(message === undefined ? {} : { message }) }
    const request = { changes, ...more, onProgress: board.pulling }
    console.log((await store.import(sourceOf(file), request).finally(board.close)).id)
  })
}

const sourceOf = (file: string) => (file === '-' ? process.stdin : file)

async function save(names: string[], options: Options & { output?: string; format: string }): Promise<void> {
  const format = saveFormats.find((one): one is SaveFormat => one === options.format)
  if (!format) {
    throw new CoracleError(`--format ${options.format}: it is one of ${saveFormats.join(', ')}`, { code: 'BAD_FLAG' })
  }
  const { output = '-' } = options
  if (output === '-' && process.stdout.isTTY) {
    throw new CoracleError('save to a terminal: use -o FILE, or redirect it', { code: 'BAD_FLAG' })
  }
  await withImages(options, (store) => store.save(names, output === '-' ? process.stdout : output, { format }))
}

interface CommitFlags extends Options {
  author?: string
  message?: string
  change: string[]
  pause: boolean
}

async function commit(name: string, ref: string | undefined, options: CommitFlags): Promise<void> {
  const { author, message, change: changes, dataDir } = options
  await withImages(options, async (store) => {
    const container = await findContainer(store, dataDir, name)
    const more = {
      changes,
      ...(ref === undefined ? {} : { ref }),
      ...(author === undefined ? {} : { author }),
      ...(message === undefined ? {} : { message }),
    }
    const runtime = join(dataDir, 'runtime')
    const record = await whilePaused(runtime, options.pause ? container : undefined, () =>
      store.commit(container.id, more),
    )
    console.log(record.id)
  })
}

async function whilePaused<Result>(
  runtime: string,
  container: FoundContainer | undefined,
  act: () => Promise<Result>,
): Promise<Result> {
  if (container?.state?.status !== 'running') return act()
  await pause(runtime, container.id)
  try {
    return await act()
  } finally {
    await resume(runtime, container.id)
  }
}

/** `CONTAINER:PATH`; a path of this host that has a colon is written with ./ or / in front. */
function splitPlace(text: string): { container: string; path: string } | undefined {
  const colon = text.indexOf(':')
  if (colon <= 0 || /^[./]/.test(text)) return undefined
  return { container: text.slice(0, colon), path: text.slice(colon + 1) }
}

async function copy(source: string, destination: string, options: Options & CopyOptions): Promise<void> {
  const [from, to] = [splitPlace(source), splitPlace(destination)]
  if ((from === undefined) === (to === undefined)) {
    throw new CoracleError(`copy ${source} to ${destination}: one of them must be CONTAINER:PATH`, { code: 'BAD_FLAG' })
  }
  const { container, path } = from ?? to ?? { container: '', path: '' }
  const rules = { followLink: options.followLink ?? false, archive: options.archive ?? false }
  await withImages(options, async (store) => {
    const inside = (act: (place: Place) => Promise<void>) =>
      withPlace(store, { dataDir: options.dataDir, container, path }, act)
    if (from) await inside((place) => copyOut(place, destination, rules))
    else await inside((place) => copyIn(source, place, rules))
  })
}

async function withPlace(
  store: Images,
  o: { dataDir: string; container: string; path: string },
  act: (place: Place) => Promise<void>,
): Promise<void> {
  const { id, pid } = await findContainer(store, o.dataDir, o.container)
  // A path in a container begins at its root, whether it says so or not.
  const path = `/${o.path.replace(/^\/+/, '')}`
  await store.withRoot(id, pid, (root) => act({ root, path, shownAs: `${o.container}:${path}` }))
}

async function copyOut(place: Place, destination: string, rules: CopyOptions): Promise<void> {
  if (destination !== '-') return onHost(destination, (host) => copyBetween(place, host, rules))
  for await (const chunk of tarOfSource(place, rules)) {
    if (!process.stdout.write(chunk)) await new Promise((done) => process.stdout.once('drain', done))
  }
}

async function copyIn(source: string, place: Place, rules: CopyOptions): Promise<void> {
  if (source === '-') await extractInto(process.stdin, place, { ...rules, archive: true })
  else await onHost(source, (host) => copyBetween(host, place, rules))
}

async function onHost(path: string, act: (place: Place) => Promise<void>): Promise<void> {
  const root = openSync('/', 'r')
  try {
    // The end of a path has a meaning that resolve() takes away.
    const end = /(\/\.?|^\.)$/.exec(path)?.[0] ?? ''
    const whole = `${resolve(path)}${end.startsWith('/') ? end : end && '/.'}`
    await act({ root, path: whole, shownAs: path })
  } finally {
    closeSync(root)
  }
}
