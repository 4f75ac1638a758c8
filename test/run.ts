/**
 * `npm test`: types, lint, then every suite that can run here. Ends with one line, `N passed, N failed, N skipped`;
 * a suite that cannot run is counted as skipped, with its reason.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

interface Counts {
  passed: number
  failed: number
  skipped: number
}

const root = resolve(import.meta.dirname, '..')
const bin = (name: string) => join(root, 'node_modules/.bin', name)
const scratch = mkdtempSync(join(tmpdir(), 'coracle-test-'))
const isRoot = process.getuid?.() === 0
const total: Counts = { passed: 0, failed: 0, skipped: 0 }

function run(program: string, args: readonly string[], timeoutMs: number): boolean {
  const { status } = spawnSync(program, args, {
    cwd: root,
    stdio: 'inherit',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  return status === 0
}

function add(counts: Counts): void {
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += counts[key]
}

function check(name: string, program: string, args: readonly string[]): void {
  console.log(`\n== ${name}`)
  const ok = run(bin(program), args, 300_000)
  console.log(`${name}: ${ok ? 'passed' : 'FAILED'}`)
  add({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 })
}

/** Most hosts share their mounts (systemd does it): there a mount that escapes is seen, and in private ones it is not. */
const inSharedMounts = ['unshare', '--mount', '--propagation', 'shared']

/** Runs one project of vitest.config.ts and counts its tests; a crash of the whole run counts as one failure. */
function suite(project: string, timeoutMs: number, around: readonly string[] = []): void {
  console.log(`\n== ${project}`)
  const report = join(scratch, `${project}.json`)
  const [program = '', ...before] = [...around, bin('vitest')]
  const ok = run(
    program,
    [
      ...before,
      'run',
      '--project',
      project,
      '--reporter=dot',
      '--reporter=json',
      `--outputFile.json=${report}`,
      '--passWithNoTests',
    ],
    timeoutMs,
  )
  const counts = readCounts(report)
  if (!ok && counts.failed === 0) counts.failed = 1
  console.log(`${project}: ${line(counts)}`)
  add(counts)
}

function readCounts(report: string): Counts {
  try {
    const found = JSON.parse(readFileSync(report, 'utf8')) as Record<string, number>
    const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0, numTodoTests = 0 } = found
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests }
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }
  }
}

const line = ({ passed, failed, skipped }: Counts) => `${passed} passed, ${failed} failed, ${skipped} skipped`

function skip(project: string, why: string): void {
  console.log(`\n== ${project}\nskipped: ${why}`)
  add({ passed: 0, failed: 0, skipped: 1 })
}

check('types', 'tsc', ['--noEmit'])
check('lint', 'biome', ['check', '.'])
suite('unit', 300_000)
if (isRoot) {
  suite('system', 900_000, inSharedMounts)
  suite('e2e', 900_000, inSharedMounts)
} else {
  skip('system', 'it makes namespaces, cgroups and mounts: run as root')
  skip('e2e', 'it starts a node: run as root')
}
rmSync(scratch, { recursive: true, force: true })
console.log(`\n${line(total)}`)
process.exitCode = total.failed === 0 ? 0 : 1
