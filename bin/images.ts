import { join } from 'node:path'
import { Command } from 'commander'
import { type Images, type ImageUsage, openImages } from '../images/index.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import { consoleLog } from './console-log.ts'
import { bytes, type DiskUse, diskTable, historyTable, imageTable } from './images-print.ts'
import { addRemote } from './images-remote.ts'

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
  addRemote(add)
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
}

async function withImages(options: Options, act: (images: Images) => Promise<void>): Promise<void> {
  const images = await openImages({ root: join(options.dataDir, 'images'), log: consoleLog })
  try {
    await act(images)
  } finally {
    await images.close()
  }
}
