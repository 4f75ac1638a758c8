import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { OciSpec } from '../../../runtime/index.ts'
import { specText } from '../../../runtime/spec/exact-json.ts'
import { groupFolders } from '../group-folders.ts'
import { patient } from '../patience.ts'
import { aFixture, type Fixture } from '../runtime-fixture.ts'

/** What came of a container, or of the attempt to make one. */
export interface Outcome {
  exitCode: number
  output: string
  /** Why there was no container, in the engine's words; empty when there was one. */
  error: string
}

/** A runtime with the command line of runc, which the same table can be held against. */
export interface Engine {
  name: 'ours' | 'runc'
  /** create, start, wait, delete. */
  run(spec: OciSpec): Promise<Outcome>
  /** One command of its own, such as `state ID`. */
  command(...args: string[]): { status: number | null; stdout: string; stderr: string }
  /** A folder with this config.json. */
  bundle(spec: OciSpec): string
}

export const hasRunc = spawnSync('runc', ['--version']).status === 0
const coracle = resolve(import.meta.dirname, '../../../bin/coracle')

/** Ours: births by the resident launcher, commands by `coracle oci`. */
export function ours(on: Fixture): Engine {
  const root = join(on.folder, 'oci')
  return {
    name: 'ours',
    async run(spec) {
      try {
        const { output, exitCode } = await on.run([], (made) => Object.assign(made, spec))
        return { output, exitCode: exitCode ?? -1, error: '' }
      } catch (error) {
        return { output: '', exitCode: 1, error: (error as Error).message }
      }
    },
    command: (...args) => spawn(on.folder, coracle, ['oci', '--root', root, ...args]),
    bundle: (spec) => makeBundle(on, spec),
  }
}

/** Debian's runc, in a mount namespace of its own. */
export function runc(on: Fixture): Engine {
  const root = join(on.folder, 'runc')
  const command = (...args: string[]) =>
    spawn(on.folder, 'unshare', ['-m', '--propagation', 'private', 'runc', '--root', root, ...args])
  return {
    name: 'runc',
    async run(spec) {
      const id = `r${count++}`
      const { status, stdout, stderr } = command('run', '-b', makeBundle(on, spec), id)
      const failed = /level=error|runc run failed/.test(stderr)
      return { output: stdout.trimEnd(), exitCode: status ?? -1, error: failed ? stderr : '' }
    },
    command,
    bundle: (spec) => makeBundle(on, spec),
  }
}

let count = 0

function makeBundle(on: Fixture, spec: OciSpec): string {
  const bundle = join(on.folder, `bundle${count++}`)
  mkdirSync(bundle)
  writeFileSync(join(bundle, 'config.json'), specText(rootedGroup(spec)))
  return bundle
}

/** For runc a relative path begins at the group that it runs in itself: its groups would lie among the machine's own. */
function rootedGroup(spec: OciSpec): OciSpec {
  const path = spec.linux?.cgroupsPath
  if (path === undefined || path === '' || path.startsWith('/')) return spec
  return { ...spec, linux: { ...spec.linux, cgroupsPath: `/${path}` } }
}

/** By files, not pipes: a container that stays holds its streams, and a pipe would be waited for until it ends. */
function spawn(folder: string, program: string, args: string[]) {
  const [out, err] = ['out', 'err'].map((name) => join(folder, `${name}${count++}`)) as [string, string]
  const [outFd, errFd] = [openSync(out, 'w'), openSync(err, 'w')]
  const { status } = spawnSync(program, args, { timeout: patient(20_000), stdio: ['ignore', outFd, errFd] })
  for (const fd of [outFd, errFd]) closeSync(fd)
  return { status, stdout: readFileSync(out, 'utf8'), stderr: readFileSync(err, 'utf8') }
}

/** runc leaves the groups above its containers, in hierarchies that are not ours as well. */
export function removeGroups(name: string): void {
  for (const group of groupFolders(join('coracle', name))) {
    const above = dirname(group)
    for (const inner of readdirSync(group, { withFileTypes: true })) {
      if (inner.isDirectory()) rmdirSync(join(group, inner.name))
    }
    rmdirSync(group)
    // Our own runtime never makes a group there.
    if (
      dirname(above) === '/sys/fs/cgroup/systemd' &&
      readdirSync(above, { withFileTypes: true }).every((entry) => entry.isFile())
    )
      rmdirSync(above)
  }
}

/** A fixture whose containers have the probe in them. */
export async function aPlace(name: string): Promise<Fixture> {
  const on = await aFixture(name)
  const { buildProbe } = await import('../../fixtures/probe/build.ts')
  buildProbe(join(on.rootfs, 'bin'))
  return on
}
