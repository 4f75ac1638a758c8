/** The data directory of one node: its paths, the note of what the node made outside of it, and a lock. */

import { createHash } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { CoracleError, errnoOf, messageOf } from '../runtime/base/errors.ts'
import { tryLockFile } from '../runtime/linux/flock.ts'
import type { StoreFlags } from './store-flags.ts'

export const defaultDataDir = '/var/lib/coracle'

export interface DataDir {
  root: string
  images: string
  runtime: string
  /** CNI: configuration, plugin state. */
  network: string
  networkConfig: string
  kubeconfig: string
  log: string
  nodeNote: string
  lock: string
}

/** Throws `BAD_FLAG` for an empty path, which would be the folder that one happens to be in. */
export function dataDir(path: string): DataDir {
  if (path === '') throw new CoracleError('--data-dir: the path is empty', { code: 'BAD_FLAG' })
  const root = resolve(path)
  return {
    root,
    images: join(root, 'images'),
    runtime: join(root, 'runtime'),
    network: join(root, 'cni'),
    networkConfig: join(root, 'cni', '10-coracle.conflist'),
    kubeconfig: join(root, 'kubeconfig'),
    log: join(root, 'coracle.log'),
    nodeNote: join(root, 'node.json'),
    lock: join(root, 'lock'),
  }
}

/** What `down` must know without anything running. */
export interface NodeNote {
  nodeName: string
  cgroupRoot: string
  /** Where its objects are; embedded unless said. */
  store?: StoreFlags
}

/** Of the default data directory the node's groups lie in `coracle/<node>`; any other has a mark of its own in the name. */
export function cgroupRoot(directory: DataDir, nodeName: string): string {
  const mark = createHash('sha256').update(directory.root).digest('hex').slice(0, 6)
  return directory.root === defaultDataDir ? `coracle/${nodeName}` : `coracle/${nodeName}-${mark}`
}

export async function writeNote(directory: DataDir, note: NodeNote): Promise<void> {
  await mkdir(directory.root, { recursive: true, mode: 0o755 })
  await writeFile(`${directory.nodeNote}.tmp`, `${JSON.stringify(note, undefined, 2)}\n`)
  await rename(`${directory.nodeNote}.tmp`, directory.nodeNote)
}

/** Undefined when no node was ever started here. */
export async function readNote(directory: DataDir): Promise<NodeNote | undefined> {
  try {
    return JSON.parse(await readFile(directory.nodeNote, 'utf8')) as NodeNote
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Held by `up` as long as it runs; the kernel gives it back however the process ends. */
export interface Lock {
  release(): void
}

/** Throws `IN_USE` with the holder's pid when another process has the data directory, `DATA_DIR` when it cannot be used. */
export async function lockDataDir(directory: DataDir): Promise<Lock> {
  const fd = await openLock(directory)
  if (!tryLockFile(fd)) {
    closeSync(fd)
    const pid = holderOf(directory)
    throw new CoracleError(`lock ${directory.root}: in use by process ${pid}`, {
      code: 'IN_USE',
      hint: `stop it with Ctrl-C, or choose another --data-dir`,
      facts: { pid },
    })
  }
  ftruncateSync(fd, 0)
  writeFileSync(fd, `${process.pid}\n`)
  return { release: () => closeSync(fd) }
}

async function openLock(directory: DataDir): Promise<number> {
  try {
    await mkdir(directory.root, { recursive: true, mode: 0o755 })
    return openSync(directory.lock, 'a+', 0o600)
  } catch (error) {
    throw new CoracleError(`use data directory ${directory.root}: ${messageOf(error)}`, {
      code: 'DATA_DIR',
      cause: error,
    })
  }
}

function holderOf(directory: DataDir): number {
  return Number(readFileSync(directory.lock, 'utf8').trim())
}
