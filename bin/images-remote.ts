/** The commands of `coracle images` that speak to registries. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Credentials,
  formatReference,
  type Images,
  openImages,
  openRemoteImages,
  parseReference,
  type RemoteImages,
} from '../images/index.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import { consoleLog } from './console-log.ts'
import type { Add } from './images-open.ts'
import { bytes } from './images-print.ts'
import { stderrBoard } from './progress.ts'
import { registryAccess } from './registry-access.ts'

interface RemoteOptions {
  dataDir: string
  user?: string
  passwordFile?: string
  insecureRegistry: string[]
}

interface Access {
  auth?: Credentials
  signal: AbortSignal
}

export function addRemoteCommands(add: Add): void {
  const remote = (usage: string, description: string) =>
    add(usage, description)
      .option('--user <name:password>', 'user of the registry, or $CORACLE_REGISTRY_USER')
      .option('--password-file <file>', 'file with the password, instead of writing it behind the name')
      .option('--insecure-registry <host...>', 'registries that may be spoken to without TLS', [])
  remote('pull <image>', 'fetches an image from its registry')
    .option('--platform <os/arch[/variant]>', 'for another kind of machine than this one')
    .option('-q, --quiet', 'no progress')
    .action(async (image: string, options: RemoteOptions & { platform?: string; quiet?: boolean }) => {
      const { platform } = options
      await withStore(options, async (store, access) => {
        const board = stderrBoard(options)
        const request = { ...access, ...(platform ? { platform } : {}), onProgress: board.pulling }
        const record = await store.pull(image, request).finally(board.close)
        console.log(`Digest: ${record.digest}\n${formatReference(parseReference(image))}`)
      })
    })
  remote('push <image>', 'sends an image to the registry that its name says')
    .option('-q, --quiet', 'no progress')
    .action(async (image: string, options: RemoteOptions & { quiet?: boolean }) => {
      await withStore(options, async (store, access) => {
        const board = stderrBoard(options)
        await store.push(image, { ...access, onProgress: board.pushing }).finally(board.close)
      })
    })
  addQuestions(remote)
}

function addQuestions(remote: Add): void {
  remote('tags <repository>', 'lists the tags that a registry has').action(
    async (repository: string, options: RemoteOptions) => {
      await withRemote(options, async (images, access) => {
        for (const tag of await images.tags(repository, access)) console.log(tag)
      })
    },
  )
  remote('referrers <image>', 'lists what refers to an image in its registry: signatures, bills of materials')
    .option('--artifact-type <type>', 'only those of this type')
    .action(async (image: string, options: RemoteOptions & { artifactType?: string }) => {
      const { artifactType } = options
      await withRemote(options, async (images, access) => {
        const found = await images.referrers(image, { ...access, ...(artifactType ? { artifactType } : {}) })
        for (const each of found) {
          console.log([each.digest, each.artifactType ?? each.mediaType, bytes(each.size)].join('   '))
        }
      })
    })
  remote('remote-rm <image@digest>', 'removes a manifest from its registry').action(
    async (image: string, options: RemoteOptions) => {
      await withRemote(options, (images, access) => images.remove(image, access))
    },
  )
}

async function withStore(
  options: RemoteOptions,
  act: (images: Images, access: Access) => Promise<void>,
): Promise<void> {
  const access = await registryAccess(options.dataDir, options.insecureRegistry)
  const images = await openImages({ root: join(options.dataDir, 'images'), log: consoleLog, access })
  await untilInterrupted((signal) => act(images, { ...credentialsOf(options), signal })).finally(() => images.close())
}

async function withRemote(
  options: RemoteOptions,
  act: (images: RemoteImages, access: Access) => Promise<void>,
): Promise<void> {
  const images = openRemoteImages(await registryAccess(options.dataDir, options.insecureRegistry))
  await untilInterrupted((signal) => act(images, { ...credentialsOf(options), signal })).finally(() => images.close())
}

/** Ctrl-C gives up what is under way, which then cleans up behind itself; a second one does not wait for that. */
async function untilInterrupted(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController()
  const interrupt = () => stop.abort(new CoracleError('interrupted', { code: 'INTERRUPTED' }))
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  try {
    await act(stop.signal)
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
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
