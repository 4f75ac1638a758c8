import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { traces } from '../system/runtime-fixture.ts'
import { aSandbox, coracleOci, has, markOf, type Sandbox } from './engine/sandbox.ts'

const canRun = process.getuid?.() === 0 && has('containerd', 'ctr', 'containerd-shim-runc-v2', 'unshare', 'busybox')

/** containerd's own shim for runc, with our runtime as its binary: what a Kubernetes node of today would call. */
describe.skipIf(!canRun)('containerd drives coracle-oci (needs root, containerd, busybox)', () => {
  let on: Sandbox
  let count = 0
  const words = (...args: string[]) => ['ctr', '-a', join(on.folder, 'c.sock'), ...args]
  const ctr = (...args: string[]) => on.run(words(...args))
  const run = (flags: string[], id: string, ...command: string[]) => {
    const runtime = [
      '--runtime',
      'io.containerd.runc.v2',
      '--runc-binary',
      coracleOci,
      '--cgroup',
      `/${on.cgroup}/${id}`,
    ]
    return words('run', ...runtime, ...flags, '--rootfs', on.rootfs, id, ...command)
  }
  const once = (flags: string[], ...command: string[]) => on.run(run(['--rm', ...flags], `c${count++}`, ...command))
  const quoted = (command: string[]) => command.map((word) => `'${word}'`).join(' ')

  beforeAll(async () => {
    on = await aSandbox('containerd')
    const at = (name: string) => JSON.stringify(join(on.folder, name))
    const off = [
      'grpc.v1.cri',
      'snapshotter.v1.btrfs',
      'snapshotter.v1.zfs',
      'snapshotter.v1.aufs',
      'snapshotter.v1.devmapper',
    ]
    const config = [
      'version = 2',
      `root = ${at('root')}`,
      `state = ${at('state')}`,
      `disabled_plugins = [${off.map((name) => JSON.stringify(`io.containerd.${name}`)).join(', ')}]`,
      `[grpc]\naddress = ${at('c.sock')}`,
      `[ttrpc]\naddress = ${at('c.sock.ttrpc')}`,
    ]
    writeFileSync(join(on.folder, 'config.toml'), config.join('\n'))
    on.start(['containerd', '-c', join(on.folder, 'config.toml')])
    for (let tries = 0; ctr('version').status !== 0 && tries < 50; tries++) await sleep(200)
    expect(ctr('version').status).toBe(0)
  })
  afterAll(async () => {
    const mark = markOf(on)
    await on[Symbol.asyncDispose]()
    expect(traces(mark)).toEqual([])
    expect(traces(`test-containerd-${process.pid}`)).toEqual([])
  })

  it('run: output, exit codes, a program that is missing', () => {
    expect(once([], 'echo', 'hello')).toMatchObject({ status: 0, stdout: 'hello\n' })
    expect(once([], 'sh', '-c', 'exit 9')).toMatchObject({ status: 9 })
    const failed = once([], 'nothing')
    expect(failed).toMatchObject({ status: 1 })
    expect(failed.stderr).toContain('OCI runtime create failed: exec: "nothing": executable file not found in $PATH')
    expect(ctr('c', 'ls', '-q').stdout).toBe('')
  })

  it('a terminal by --console-socket, in run and exec', () => {
    const tty = on.run(['script', '-qec', quoted(run(['--rm', '-t'], 'tty', 'sh', '-c', 'tty; echo hi')), '/dev/null'])
    expect(tty.stdout.replaceAll('\r', '')).toContain('/dev/pts/0\nhi\n')
  })

  // Not --uidmap: there, ctr forgets --runc-binary, and the shim would start runc (WithUIDOwner replaces the runtime's options).
  it.each<[string, string[], string[], string | RegExp]>([
    ['seccomp', ['--seccomp'], ['grep', 'Seccomp:', '/proc/self/status'], 'Seccomp:\t2\n'],
    ['environment and folder', ['--env', 'A=b', '--cwd', '/tmp'], ['sh', '-c', 'echo $A $PWD'], 'b /tmp\n'],
    [
      'mount',
      ['--mount', 'type=tmpfs,src=tmpfs,dst=/data,options=rw:size=1m'],
      ['sh', '-c', 'df /data | tail -1 | tr -s " " | cut -d" " -f2'],
      '1024\n',
    ],
    ['privileged', ['--privileged'], ['grep', 'CapEff', '/proc/self/status'], /^CapEff:\t000001ff/],
  ])('%s', (_name, flags, command, expected) => {
    const { status, stdout, stderr } = once(flags, ...command)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    if (typeof expected === 'string') expect(stdout).toBe(expected)
    else expect(stdout).toMatch(expected)
  })

  it('--read-only', () => expect(once(['--read-only'], 'touch', '/x').stderr).toContain('Read-only file system'))

  it('a task’s life: exec, ps, metrics, pause, update, checkpoint refused, kill, delete', async () => {
    expect(on.run(run(['-d', '--memory-limit', '33554432'], 'a', 'sleep', '300'))).toMatchObject({ status: 0 })
    const task = (...args: string[]) => ctr('task', ...args)
    const exec = (id: string, ...command: string[]) => task('exec', '--exec-id', id, 'a', ...command)
    expect(exec('e1', 'sh', '-c', 'echo in; exit 4')).toMatchObject({ status: 4, stdout: 'in\n' })
    expect(exec('e2', 'nothing').stderr).toContain('executable file not found in $PATH')
    // Not shorter: ctr drops the output of what has ended before it could be resized.
    const tty = ['task', 'exec', '-t', '--exec-id', 'e3', 'a', 'sh', '-c', 'tty; sleep 1']
    expect(on.run(['script', '-qec', quoted(words(...tty)), '/dev/null']).stdout).toContain('/dev/pts/0')
    expect(
      task('ps', 'a')
        .stdout.split('\n')
        .filter((line) => /^\d+/.test(line)),
    ).toHaveLength(1)
    expect(task('metrics', 'a').stdout).toMatch(/memory\.\S*limit\s+33554432|memory\.\w+\s+\d+/)
    expect(task('pause', 'a').status).toBe(0)
    expect(task('ls').stdout).toMatch(/a\s+\d+\s+PAUSED/)
    expect(task('resume', 'a').status).toBe(0)
    expect(task('ls').stdout).toMatch(/a\s+\d+\s+RUNNING/)
    expect(task('checkpoint', 'a').status).not.toBe(0)
    expect(task('kill', '-s', 'SIGKILL', 'a').status).toBe(0)
    for (let tries = 0; !/STOPPED/.test(task('ls').stdout) && tries < 50; tries++) await sleep(100)
    expect(task('ls').stdout).toMatch(/a\s+\d+\s+STOPPED/)
    expect(task('delete', 'a').stderr).toContain('exit code 137')
    expect(ctr('c', 'rm', 'a').status).toBe(0)
  })

  it('kill --all takes the children too', async () => {
    expect(on.run(run(['-d'], 'k', 'sh', '-c', 'sleep 300 & sleep 300'))).toMatchObject({ status: 0 })
    expect(ctr('task', 'kill', '-a', '-s', 'SIGKILL', 'k').status).toBe(0)
    await sleep(300)
    expect(ctr('task', 'rm', '-f', 'k').status).toBe(0)
    expect(ctr('c', 'rm', 'k').status).toBe(0)
    expect(ctr('c', 'ls', '-q').stdout).toBe('')
  })
})
