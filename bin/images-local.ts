/** `coracle images …`: what needs neither a registry nor an archive. Names, columns and flags as docker has them. */
import type { Command } from 'commander'
import { CoracleError } from '../runtime/base/errors.ts'
import { type Add, type Options, withImages } from './images-open.ts'
import {
  bytes,
  diskDetails,
  diskTable,
  dockerInspect,
  historyTable,
  type ImageFilter,
  imageRows,
  imageTable,
  parseFilter,
} from './images-print.ts'

interface ListOptions extends Options {
  all?: boolean
  digests?: boolean
  quiet?: boolean
  trunc: boolean
  format: string
  filter: string[]
}

export function addLocalCommands(add: Add): void {
  add('ls [name]', 'lists the images')
    .option('-a, --all', 'all images; there are no hidden ones here')
    .option('--digests', 'shows digests too')
    .option('-q, --quiet', 'ids only')
    .option('--no-trunc', 'whole ids')
    .option('--format <format>', 'table or json: one object a line', 'table')
    .option(
      '-f, --filter <filter...>',
      'dangling=true|false, label=key[=value], reference=pattern, before=, since=',
      [],
    )
    .action(list)
  add('inspect <image...>', 'prints what is known of images, as JSON').action(inspect)
  add('history <image>', 'shows how an image came about')
    .option('--no-trunc', 'whole ids and commands')
    .option('-q, --quiet', 'ids only')
    .action(history)
  add('tag <image> <name>', 'gives an image another name').action(async (image: string, name: string, o: Options) => {
    await withImages(o, async (store) => {
      await store.tag(image, name)
    })
  })
  add('rm <image...>', 'takes names away; with its last name, or by its id, an image goes')
    .option('-f, --force', 'also when containers use it or it has several names')
    .action(remove)
  addHousekeeping(add)
}

async function list(name: string | undefined, options: ListOptions): Promise<void> {
  if (!['table', 'json'].includes(options.format)) {
    throw new CoracleError(`--format ${options.format}: it is table or json`, { code: 'BAD_FLAG' })
  }
  const filters: ImageFilter[] = options.filter.map(parseFilter)
  if (name !== undefined) filters.push({ key: 'reference', value: name })
  await withImages(options, async (store) => {
    const rows = imageRows(await store.list(), { filters, now: Date.now(), trunc: options.trunc })
    if (options.quiet) for (const id of new Set(rows.map((row) => row.ID))) console.log(id)
    else if (options.format === 'json') for (const row of rows) console.log(JSON.stringify(row))
    else console.log(imageTable(rows, { digests: options.digests ?? false }))
  })
}

async function inspect(names: string[], options: Options): Promise<void> {
  await withImages(options, async (store) => {
    const found = []
    for (const name of names) {
      const record = await store.inspect(name)
      if (!record) {
        throw new CoracleError(`inspect image ${name}: this host does not have it`, { code: 'IMAGE_NOT_FOUND' })
      }
      found.push(dockerInspect(record))
    }
    console.log(JSON.stringify(found, null, 2))
  })
}

async function history(image: string, options: Options & { trunc: boolean; quiet?: boolean }): Promise<void> {
  await withImages(options, async (store) => {
    const steps = await store.history(image)
    const id = (await store.inspect(image))?.id ?? ''
    console.log(historyTable(steps, { id, now: Date.now(), trunc: options.trunc, quiet: options.quiet ?? false }))
  })
}

async function remove(names: string[], options: Options & { force?: boolean }): Promise<void> {
  await withImages(options, async (store) => {
    for (const name of names) {
      const { untagged, deleted } = await store.remove(name, { force: options.force ?? false })
      for (const each of untagged) console.log(`Untagged: ${each}`)
      if (deleted) console.log(`Deleted: ${deleted}`)
    }
  })
}

interface GarbageOptions extends Options {
  high: string
  low: string
  minAge: string
  dryRun?: boolean
}

function addHousekeeping(add: (usage: string, description: string) => Command): void {
  add('prune', 'removes images without a name, and layers that nobody needs')
    .option('-a, --all', 'all images that no container uses')
    .action(async (options: Options & { all?: boolean }) => {
      await withImages(options, async (store) => {
        const removed = await store.prune({ all: options.all ?? false })
        for (const { id, references } of removed) console.log(`removed: ${references[0] ?? id}`)
        console.log(`Total reclaimed space: ${bytes(removed.reduce((sum, { size }) => sum + size, 0))}`)
      })
    })
  add('df', 'shows how much images and containers take')
    .option('-v, --verbose', 'each image and container')
    .action(async (options: Options & { verbose?: boolean }) => {
      await withImages(options, async (store) => {
        const usage = await store.diskUsage()
        if (options.verbose) return console.log(diskDetails(usage))
        const size = usage.containers.reduce((sum, one) => sum + one.size, 0)
        const total = usage.containers.length
        const containers = { type: 'Containers', total, active: total, size, reclaimable: 0 }
        console.log(diskTable([{ type: 'Images', ...(await store.usage()) }, containers]))
      })
    })
  add('gc', 'makes room as the kubelet does: unused images, the longest unused first, while the disk is too full')
    .option('--high <percent>', 'from this use of the disk on', '85')
    .option('--low <percent>', 'down to this use of the disk', '80')
    .option('--min-age <seconds>', 'images that came later stay', '120')
    .option('--dry-run', 'only tells what would go')
    .action(collect)
  add('check', 'reads every byte of the store, and tells what is wrong').action(async (options: Options) => {
    await withImages(options, async (store) => {
      const { images, blobs, bytes: read, faults } = await store.check()
      for (const { what, reason } of faults) console.log(`${what}: ${reason}`)
      console.log(`${images} images, ${blobs} blobs, ${bytes(read)}: ${faults.length} faults`)
      if (faults.length > 0) process.exitCode = 1
    })
  })
}

async function collect({ high, low, minAge, dryRun = false, ...options }: GarbageOptions): Promise<void> {
  await withImages(options, async (store) => {
    const { usedPercent, wantedBytes, freedBytes, removed } = await store.reclaim({
      highPercent: Number(high),
      lowPercent: Number(low),
      minimumAgeSeconds: Number(minAge),
      dryRun,
    })
    for (const { id, references } of removed)
      console.log(`${dryRun ? 'would remove' : 'removed'}: ${references[0] ?? id}`)
    console.log(`disk used: ${usedPercent}%, wanted: ${bytes(wantedBytes)}, freed: ${bytes(freedBytes)}`)
  })
}
