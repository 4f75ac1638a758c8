/*
 * The runtime's suites once more in a VM whose kernel has nothing but cgroup v2, with all controllers: what most hosts have and this
 * machine may not. `$CORACLE_VM` names the folder with `vm-run`; without one beside the project, it is skipped. Emulated, a suite
 * takes ten to thirty times as long as natively: an hour for all of them.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const project = resolve(import.meta.dirname, '../..')
const vm = [process.env.CORACLE_VM ?? '', resolve(project, '../shared/vm'), resolve(project, '../../shared/vm')]
  .map((folder) => join(folder, 'vm-run'))
  .find((file) => file.startsWith('/') && existsSync(file))
const hasQemu = spawnSync('qemu-system-x86_64', ['--version']).status === 0

/** What the suites drive there, beside what the VM has anyway; Node travels with the project. */
const environment = { VM_EXTRA_PACKAGES: 'gcc libc6-dev podman conmon containerd seccomp', VM_NODE_BINARY: 'none' }
const secondsInVm = 3000

const suites = [
  'cgroups',
  'seccomp',
  'runtime.test',
  'runtime-attacks',
  'runtime-beside-runc',
  'runtime-config',
  'runtime-errors',
  'runtime-foreign',
  'runtime-fuzz',
  'runtime-mount',
  'runtime-must',
  'runtime-oci.test',
  'runtime-oci-flags',
  'runtime-oci-habits',
  'runtime-oci-runc',
]
const files = [...suites.map((name) => `test/system/${name}`), 'test/peers/podman', 'test/peers/containerd']

interface Report {
  numPassedTests: number
  numFailedTests: number
  testResults: {
    message?: string
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[]
  }[]
}

async function inVm(file: string, out: string): Promise<number | null> {
  const suite = 'vitest run --project system --reporter=json --outputFile=/mnt/out/report.json'
  const command = `PATH=$PWD/node_modules/.bin:$PATH CORACLE_PATIENCE=15 ${suite} ${file}`
  const flags = ['--dir', project, '--copy', '--mem', '4096', '--out', out, '--timeout', String(secondsInVm)]
  const child = spawn(vm ?? '', [...flags, '--', 'sh', '-c', command], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...environment },
  })
  return new Promise((done) => child.once('exit', done))
}

describe.skipIf(process.getuid?.() !== 0 || !vm || !hasQemu)('cgroup v2 alone (needs root, vm-run and qemu)', () => {
  it.each(files)('%s passes there', async (file) => {
    const out = mkdtempSync(join(tmpdir(), 'coracle-v2-'))
    try {
      await inVm(file, out)
      const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report
      const failed = report.testResults.flatMap(({ message, assertionResults }) => [
        ...(message ? [message] : []),
        ...assertionResults
          .filter(({ status }) => status === 'failed')
          .map((test) => `${test.fullName}: ${test.failureMessages[0]?.split('\n')[0]}`),
      ])
      console.log(`${file}: ${report.numPassedTests} passed, ${report.numFailedTests} failed`)
      expect(failed).toEqual([])
      expect(report.numPassedTests).toBeGreaterThan(0)
    } finally {
      rmSync(out, { recursive: true, force: true })
    }
  })
})
