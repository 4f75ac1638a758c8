import { mkdir, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf } from '../../runtime/base/errors.ts'

const checks: Readonly<Record<string, [says: string, is: (found: Awaited<ReturnType<typeof stat>>) => boolean]>> = {
  Directory: ['a directory', (found) => found.isDirectory()],
  DirectoryOrCreate: ['a directory', (found) => found.isDirectory()],
  File: ['a file', (found) => found.isFile()],
  FileOrCreate: ['a file', (found) => found.isFile()],
  Socket: ['a socket', (found) => found.isSocket()],
  CharDevice: ['a character device', (found) => found.isCharacterDevice()],
  BlockDevice: ['a block device', (found) => found.isBlockDevice()],
}

/** A path of the node itself, checked (or made) as `type` says (API reference: HostPathVolumeSource). */
export async function setUpHostPath(path: string, type: string): Promise<string> {
  if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 })
  if (type === 'FileOrCreate') await createFile(path)
  const check = checks[type]
  if (type !== '' && !check) throw new Error(`hostPath type "${type}" is not known`)
  try {
    const found = await stat(path)
    if (check && !check[1](found)) throw new Error(`hostPath type check failed: ${path} is not ${check[0]}`)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    // Without a type nothing is promised: the runtime makes a directory, as Docker did.
    if (type !== '') throw new Error(`hostPath type check failed: ${path} does not exist`)
    await mkdir(path, { recursive: true, mode: 0o755 })
  }
  return path
}

async function createFile(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  await (await open(path, 'a', 0o644)).close()
}
