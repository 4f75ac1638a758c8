/** Files on the node that a container needs before it begins. */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A container that has printed nothing yet has an empty log, not none. */
export async function beginLog(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  await writeFile(path, '', { flag: 'a', mode: 0o640 })
}

/** Where the container may leave its last words. */
export async function beginTerminationLog(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 })
  await writeFile(path, '', { flag: 'a' })
  // Past the umask: the container may run as any user.
  await chmod(path, 0o666)
}
