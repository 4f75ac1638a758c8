import { resolve } from 'node:path'
import { Command } from 'commander'
import { backupStore, checkStore, defragStore, restoreStore, storePath } from '../orchestrator/index.ts'
import { CoracleError, hasCode } from '../runtime/base/errors.ts'
import { type DataDir, dataDir, defaultDataDir, readNote } from './data-dir.ts'

interface Flags {
  dataDir: string
  force?: boolean
}

/** `coracle store …`: the embedded store of a data directory, as files. */
export function storeCommand(): Command {
  const store = new Command('store').description("the embedded store of a node's objects")
  const add = (usage: string, description: string) =>
    store.command(usage).description(description).option('--data-dir <dir>', 'the data directory', defaultDataDir)
  add('backup <file>', 'writes all objects as they are at one moment into a file; the node may be running')
    .option('--force', 'overwrites the file')
    .action(backup)
  add('restore <file>', 'puts a backup in the place of the store; the node has to be stopped')
    .option('--force', 'replaces a store that is there; the old one is kept beside it')
    .action(restore)
  add('check', 'looks for damage; the node may be running').action(check)
  add('defrag', 'gives unused room back to the file system; the node has to be stopped').action(defrag)
  return store
}

async function backup(file: string, { dataDir: root, force = false }: Flags): Promise<void> {
  const { revision, bytes } = backupStore(await embeddedPath(root), resolve(file), { force })
  console.log(`backed up to ${file}: revision ${revision}, ${bytes} bytes`)
}

async function restore(file: string, { dataDir: root, force = false }: Flags): Promise<void> {
  const path = await embeddedPath(root)
  const { revision, replaced } = saying(() => restoreStore(path, resolve(file), { force }), {
    STORE_LOCKED: stopFirst,
    STORE_EXISTS: '--force replaces it',
  })
  console.log(`restored ${file}: the store goes on from revision ${revision}`)
  if (replaced !== undefined) console.log(`the store that was there is now ${replaced}`)
}

async function check({ dataDir: root }: Flags): Promise<void> {
  const path = await embeddedPath(root)
  const faults = checkStore(path)
  for (const fault of faults) console.log(fault)
  if (faults.length > 0) throw new CoracleError(`check ${path}: it is damaged`, { code: 'STORE_DAMAGED' })
  console.log(`${path} is sound`)
}

async function defrag({ dataDir: root }: Flags): Promise<void> {
  const path = await embeddedPath(root)
  const { bytesBefore, bytesAfter } = saying(() => defragStore(path), { STORE_LOCKED: stopFirst })
  console.log(`${path}: ${bytesBefore} bytes before, ${bytesAfter} now`)
}

const stopFirst = 'stop the node first'

/** Throws BAD_FLAG when the node keeps its objects elsewhere. */
async function embeddedPath(root: string): Promise<string> {
  const directory: DataDir = dataDir(root)
  const { store = { store: 'embedded' } } = (await readNote(directory)) ?? {}
  if (store.store === 'embedded') return storePath(directory.root)
  throw new CoracleError(`${directory.root}: the objects of this node are in ${store.store}`, {
    code: 'BAD_FLAG',
    hint: 'etcdctl snapshot save, etcdctl defrag and etcdctl endpoint hashkv are what etcd has for it',
  })
}

/** Runs `act`, and adds to its errors what one can do about them. */
function saying<T>(act: () => T, hints: Readonly<Record<string, string>>): T {
  try {
    return act()
  } catch (error) {
    const code = Object.keys(hints).find((each) => hasCode(error, each))
    if (code === undefined || !(error instanceof CoracleError)) throw error
    throw new CoracleError(error.message, { code, hint: hints[code] ?? '', cause: error })
  }
}
