import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { coracleOci } from '../peers/engine/sandbox.ts'
import type { Fixture } from '../system/runtime-fixture.ts'
import { type BenchRow, rowOf, sampleOf } from './rows.ts'

const rounds = 6
const batch = 5

/**
 * `coracle-oci run` of /bin/true without a launcher, beside an empty program of Node's, which is the floor of anything that
 * is written in it, and the peers' own `run`.
 */
export function commandLineRow(on: Fixture, peers: readonly string[], bundle: string): BenchRow {
  const root = join(on.folder, 'oci')
  const commands: Readonly<Record<string, string>> = {
    ours: `${coracleOci} --root ${root} run -b ${bundle}`,
    node: `${process.execPath} -e 0`,
    ...Object.fromEntries(
      peers.map((peer) => [peer, `${peer} ${flagsOf(peer)} --root ${join(on.folder, peer)} run -b ${bundle}`]),
    ),
  }
  const times: Record<string, number[]> = {}
  for (let round = 0; round < rounds; round++) {
    for (const [name, command] of Object.entries(commands)) {
      const spent = inShell(command, `${name}${round}`)
      // The first round fills caches: the compiled code of ours, the files of all.
      if (round > 0) times[name] = [...(times[name] ?? []), spent]
    }
  }
  const { ours = [], ...others } = times
  const samples = Object.fromEntries(Object.entries(others).map(([name, values]) => [name, sampleOf(values)]))
  return rowOf({
    name: 'coracle-oci run of /bin/true, by start-ups of Node',
    unit: 'ms',
    ours: sampleOf(ours),
    peers: samples,
    goal: 3,
    goalIsRatio: true,
  })
}

/** crun refuses hybrid cgroups: without them it runs, to its advantage. */
const flagsOf = (peer: string) => (peer === 'crun' ? '--cgroup-manager=disabled' : '')

/** Milliseconds a run, in a shell's loop, so that nothing of our own spawning is counted. */
function inShell(command: string, name: string): number {
  const hide = existsSync('/sys/fs/cgroup/unified') ? 'umount /sys/fs/cgroup/unified' : 'true'
  const clock = '$(date +%s%N)'
  const loop = `for i in $(seq ${batch}); do ${command} cli-${name}-$i </dev/null || exit 1; done`
  const script = `${hide}; before=${clock}; ${loop}; echo $((${clock} - before))`
  const output = execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script], { encoding: 'utf8' })
  return Number(output.trim()) / 1e6 / batch
}
