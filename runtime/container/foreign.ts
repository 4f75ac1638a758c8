import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { hasCode } from '../base/errors.ts'
import { recordProgram } from '../birth/program.ts'
import type { LauncherPlace } from '../launcher/client.ts'
import { openSession, type Session } from '../launcher/client-session.ts'
import type { ForeignMarks } from '../launcher/protocol.ts'
import { folderOf } from '../launcher/records.ts'
import type { LinuxResources, OciProcess } from '../spec/types.ts'
import { type Report, stepError } from '../tape/play.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'
import { containerError } from './errors.ts'
import type { Owned } from './is-foreign.ts'
import type { SavedConfig } from './saved-config.ts'

/*
 * Containers of another OCI runtime (runc, crun, runsc …), which a RuntimeClass may ask for. It gets the bundle that we
 * would have used ourselves, makes the container, and is asked for every change of it by its command line. Streams, logs,
 * waiting and events stay the launcher's: to its clients there is no difference.
 */

/** A tape that becomes the runtime's program, and where that leaves what must be known. */
export interface ForeignCall {
  tape: SyscallTape
  marks: ForeignMarks
}

const commandMilliseconds = 60_000

/** Writes the bundle, in which the root and the cgroup have absolute paths; the tape makes the container of it. */
export function recordForeignCreate(
  root: string,
  record: Owned,
  config: SavedConfig & { rootPath: string },
): ForeignCall {
  const { spec, rootfs, rootPath } = config
  const folder = folderOf(root, record.id)
  const bundle = `${folder}/bundle`
  mkdirSync(bundle, { mode: 0o700 })
  const complete = {
    ...spec,
    root: { ...spec.root, path: rootPath },
    linux: { ...spec.linux, cgroupsPath: `/${record.cgroupPath}` },
  }
  writeFileSync(`${bundle}/config.json`, JSON.stringify(complete), { mode: 0o600 })
  const marks = marksOf(root, record, 'create')
  if (record.terminal) marks.consoleSocket = `${folder}/console`
  const flags = ['--bundle', bundle, '--pid-file', marks.pidFile, ...consoleFlag(marks)]
  const args = command(root, record, ['create', ...flags, record.id], marks.log)
  const tape = recordProgram({ args, ...(rootfs ? { root: { path: rootPath, overlay: rootfs.overlay } } : {}) })
  return { tape, marks }
}

export function recordForeignStart(root: string, record: Owned): ForeignCall {
  const marks = marksOf(root, record, 'start')
  return { tape: recordProgram({ args: command(root, record, ['start', record.id], marks.log) }), marks }
}

/** One more process in a running container. Throws FOREIGN_FAILED, TAPE_STEP_FAILED. */
export async function execForeign(
  place: LauncherPlace,
  record: Owned,
  { process, stdin }: { process: OciProcess; stdin: boolean },
): Promise<Session> {
  const { root } = place
  const name = `${folderOf(root, record.id)}/exec-${randomUUID().slice(0, 8)}`
  const marks: ForeignMarks = { ...marksOf(root, record, 'exec'), pidFile: `${name}.pid` }
  const terminal = process.terminal ?? false
  if (terminal) marks.consoleSocket = name
  const file = `${name}.json`
  writeFileSync(file, JSON.stringify(process), { mode: 0o600 })
  const flags = ['--detach', '--process', file, '--pid-file', marks.pidFile, ...consoleFlag(marks)]
  const tape = recordProgram({ args: command(root, record, ['exec', ...flags, record.id], marks.log) })
  const request = { op: 'exec', id: record.id, marks: noMarks, foreign: marks, terminal, stdin } as const
  try {
    return await openSession(place, request, { tape: tape.encode(), terminal })
  } catch (error) {
    throw foreignStep(error, tape)
  } finally {
    rmSync(file, { force: true })
  }
}

/** Of tapes that become another program: they have neither a clone nor a gate. */
export const noMarks = { clone: -1, ready: -1 }

/** The error of a step with its words, where that is what failed. */
export function foreignStep(error: unknown, tape: SyscallTape): unknown {
  const isStep = hasCode(error, 'PLAY_FAILED') && error.facts.index !== undefined
  return isStep ? stepError(tape, error.facts as unknown as Report) : error
}

/** kill, pause, resume or delete. Throws FOREIGN_FAILED with the runtime's own words. */
export async function askForeign(root: string, record: Owned, verb: string, ...more: string[]): Promise<void> {
  await run(root, record, [verb, ...more])
}

/** Throws FOREIGN_FAILED. */
export async function updateForeign(root: string, record: Owned, resources: LinuxResources): Promise<void> {
  await run(root, record, ['update', '--resources', '-', record.id], JSON.stringify(resources))
}

/** Ends and removes what the runtime knows of a container, and the bundle. */
export async function removeForeign(root: string, record: Owned): Promise<void> {
  rmSync(`${folderOf(root, record.id)}/bundle/config.json`, { force: true })
  await run(root, record, ['delete', '--force', record.id])
}

function consoleFlag({ consoleSocket }: ForeignMarks): string[] {
  return consoleSocket === undefined ? [] : ['--console-socket', consoleSocket]
}

function command(root: string, { handler }: Owned, rest: readonly string[], log?: string): string[] {
  const { binary, args = [], name } = handler
  const logging = log === undefined ? [] : ['--log', log, '--log-format', 'json']
  return [binary, ...args, '--root', `${root}/.runtimes/${name}`, ...logging, ...rest]
}

function marksOf(root: string, { id, handler }: Owned, verb: string): ForeignMarks {
  const folder = folderOf(root, id)
  return { what: `${handler.name} ${verb} ${id}`, log: `${folder}/${verb}.log`, pidFile: `${folder}/${verb}.pid` }
}

function run(root: string, record: Owned, rest: readonly string[], input = ''): Promise<void> {
  const [binary = '', ...args] = command(root, record, rest)
  return new Promise((resolve, reject) => {
    const child = execFile(binary, args, { timeout: commandMilliseconds, env: {} }, (error, _, stderr) => {
      if (!error) return resolve()
      const said = stderr.trim().split('\n').at(-1) || error.message
      reject(
        containerError(
          'FOREIGN_FAILED',
          `${record.handler.name} ${rest[0]} ${record.id}: ${said}`,
          { id: record.id },
          error,
        ),
      )
    })
    // A program that has ended without reading says why by its exit.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}
