/**
 * A client that makes containers until it is killed: ROOT ROOTFS CGROUP PREFIX AT-ONCE. Tells its parent of each that ended well (1),
 * and in words of what a kill of the launcher does not excuse.
 */
import { silentLog } from '../../runtime/base/log.ts'
import { openRuntime, type Runtime } from '../../runtime/index.ts'
import { defaultSpec } from '../../runtime/spec/default-spec.ts'

const [root = '', rootfs = '', group = '', prefix = '', atOnce = '1'] = process.argv.slice(2)
const runtime = await opened()

/** The launcher may be killed while it is being asked for the first time. */
async function opened(): Promise<Runtime> {
  try {
    return await openRuntime({ root, log: silentLog })
  } catch {
    return opened()
  }
}

async function lives(at: number): Promise<void> {
  for (let count = 0; ; count++) {
    const id = `${prefix}-${at}-${count}`
    const spec = defaultSpec()
    Object.assign(spec, { root: { path: rootfs, readonly: true } })
    Object.assign(spec.process ?? {}, { terminal: false, args: ['/bin/sh', '-c', `exit ${count % 100}`] })
    Object.assign(spec.linux ?? {}, { cgroupsPath: `${group}/${id}` })
    try {
      await runtime.create({ id, spec })
      await runtime.start(id)
      const { exitCode } = await runtime.wait(id)
      if (exitCode !== count % 100) throw new Error(`${id} ended with ${exitCode}, not ${count % 100}`)
      await runtime.delete(id)
      process.send?.(1)
    } catch (error) {
      // The launcher has been killed under us: what is lost is cleaned up by whoever reads the disk.
      const code = (error as { code?: string }).code ?? ''
      if (!['LAUNCHER_LOST', 'PLAY_FAILED', 'NOT_FOUND', 'WRONG_STATE', 'NOT_RUNNING'].includes(code)) {
        process.send?.(`${id}: ${code} ${(error as Error).message}`)
      }
      await runtime.delete(id, { force: true }).catch(() => {})
    }
  }
}

await Promise.all(Array.from({ length: Number(atOnce) }, (_, at) => lives(at)))
