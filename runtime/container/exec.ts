import { hasCode } from '../base/errors.ts'
import { recordExec } from '../birth/exec.ts'
import { cgroups } from '../cgroups/driver.ts'
import type { LauncherPlace } from '../launcher/client.ts'
import { openSession, type Session } from '../launcher/client-session.ts'
import { readRecord } from '../launcher/records.ts'
import type { OciCapabilities, OciProcess, OciSpec } from '../spec/types.ts'
import { validateProcess } from '../spec/validate.ts'
import { type Report, stepError } from '../tape/play.ts'
import { explainExec } from './explain-exec.ts'
import { isForeign } from './is-foreign.ts'
import { savedConfig } from './saved-config.ts'
import { requireState } from './state.ts'

export interface ExecOptions {
  args: string[]
  /** `NAME=value`; the container's own environment when absent. */
  env?: string[]
  cwd?: string
  user?: { uid: number; gid: number; additionalGids?: number[] }
  /** The container's own when absent. */
  capabilities?: OciCapabilities
  terminal?: { columns: number; rows: number }
  stdin?: boolean
}

/** Runs one more process in a running container. Throws NOT_FOUND, WRONG_STATE, EXEC_FAILED, TAPE_STEP_FAILED. */
export async function exec(place: LauncherPlace, id: string, options: ExecOptions): Promise<Session> {
  const { cgroupPath, pid = 0 } = requireState(place.root, id, { verb: 'exec', states: ['running'] })
  const config = savedConfig(place.root, id)
  const process = validateProcess(execProcess(config.spec, options))
  const own = readRecord(place.root, id)
  if (isForeign(own))
    return (await import('./foreign.ts')).execForeign(place, own, { process, stdin: options.stdin ?? false })
  const cgroup = cgroups().membership(cgroupPath)
  const { tape, clone, ready, warnings } = recordExec({ spec: config.spec, pid, process, cgroup, stdio: 'pipes' })
  for (const warning of warnings) place.log.warn(warning, { id })
  const marks = { clone, ready }
  const { stdin = false } = options
  const terminal = process.terminal ?? false
  try {
    return await openSession(place, { op: 'exec', id, marks, terminal, stdin }, { tape: tape.encode(), terminal })
  } catch (error) {
    if (!hasCode(error, 'PLAY_FAILED') || error.facts.index === undefined) throw error
    const failed = stepError(tape, error.facts as unknown as Report)
    throw explainExec(failed, { ...config, spec: { ...config.spec, process } })
  }
}

/** Follows a container's main process. Throws NOT_FOUND. */
export async function attach(place: LauncherPlace, id: string, options: { stdin?: boolean } = {}): Promise<Session> {
  requireState(place.root, id, { verb: 'attach', states: ['created', 'running', 'paused'] })
  const terminal = readRecord(place.root, id)?.terminal ?? false
  return openSession(place, { op: 'attach', id, stdin: options.stdin ?? false }, { terminal })
}

/** The container's own process with the wishes of `options`. */
export function execProcess(spec: OciSpec, options: ExecOptions): OciProcess {
  const own: Partial<OciProcess> = spec.process ?? {}
  const { args, env = own.env ?? [], cwd = own.cwd ?? '/', user, terminal, capabilities = own.capabilities } = options
  const { consoleSize: _, ...rest } = own
  return {
    ...rest,
    args,
    env,
    cwd,
    user: user ?? own.user ?? { uid: 0, gid: 0 },
    terminal: terminal !== undefined,
    ...(terminal ? { consoleSize: { width: terminal.columns, height: terminal.rows } } : {}),
    ...(capabilities ? { capabilities } : {}),
  }
}
