import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { groupFile, isV2 } from '../system/group-folders.ts'
import { traces } from '../system/runtime-fixture.ts'
import { aSandbox, coracleOci, has, markOf, type Sandbox } from './engine/sandbox.ts'

const canRun = process.getuid?.() === 0 && has('podman', 'conmon', 'unshare', 'nsenter', 'busybox')

/** podman of the distribution with our runtime in place of runc: what conmon calls, and what its users see. */
describe.skipIf(!canRun)('podman drives coracle-oci (needs root, podman, conmon, busybox)', () => {
  let on: Sandbox
  let env: Record<string, string>
  const words = (...args: string[]) => {
    const own = ['root', 'runroot', 'tmpdir'].flatMap((flag) => [`--${flag}`, join(on.folder, flag)])
    const how = ['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file']
    return ['podman', ...own, ...how, '--runtime', coracleOci, ...args]
  }
  const podman = (...args: string[]) => on.run(words(...args), { env })
  const options = () => ['--network', 'none', '--cgroup-parent', `/${on.cgroup}`]
  const once = (flags: string[], ...command: string[]) => {
    const { status, stdout, stderr } = podman('run', '--rm', ...options(), ...flags, 'box:1', ...command)
    return { status, stdout, stderr: stderr.trim() }
  }
  const fine = (stdout: string) => ({ status: 0, stdout, stderr: '' })

  beforeAll(async () => {
    on = await aSandbox('podman')
    const config = join(on.folder, 'containers.conf')
    writeFileSync(config, '[containers]\ncgroups = "no-conmon"\n[engine]\nruntime_supports_json = ["coracle-oci"]\n')
    env = { CONTAINERS_CONF: config }
    const archive = join(on.folder, 'image.tar')
    spawnSync('tar', ['-C', on.rootfs, '-cf', archive, '.'])
    expect(podman('import', '-q', archive, 'box:1').status).toBe(0)
  })
  afterAll(async () => {
    const mark = markOf(on)
    podman('rm', '-fa', '-t', '0')
    await on[Symbol.asyncDispose]()
    expect(traces(mark)).toEqual([])
    expect(traces(`test-podman-${process.pid}`)).toEqual([])
  })

  it('run: output, input, exit codes; 127 and 126 for what cannot be run', () => {
    expect(once([], 'echo', 'hello')).toEqual(fine('hello\n'))
    expect(once([], 'sh', '-c', 'echo out; echo err >&2; exit 7')).toEqual({
      status: 7,
      stdout: 'out\n',
      stderr: 'err',
    })
    expect(on.run(words('run', '--rm', '-i', ...options(), 'box:1', 'cat'), { env, input: 'data' }).stdout).toBe('data')
    expect(once([], 'nothing')).toMatchObject({
      status: 127,
      stderr: expect.stringContaining('executable file not found'),
    })
    expect(once([], '/etc/passwd')).toMatchObject({ status: 126, stderr: expect.stringContaining('permission denied') })
  })

  it('-it: a terminal by --console-socket', () => {
    const command = words('run', '--rm', '-it', ...options(), 'box:1', 'sh', '-c', 'tty; stty size').map(
      (word) => `'${word}'`,
    )
    const { stdout } = on.run(['script', '-qec', `stty rows 33 cols 77; ${command.join(' ')}`, '/dev/null'], { env })
    expect(stdout.replaceAll('\r', '')).toContain('/dev/pts/0\n33 77\n')
  })

  it('a container’s life: limits, exec, top, stats, pause, update, cp, kill, logs, rm', () => {
    const limits = ['-m', '32m', '--cpus', '0.5', '--pids-limit', '50']
    expect(
      podman('run', '-d', '--name', 'a', ...options(), ...limits, 'box:1', 'sh', '-c', 'echo begun; sleep 300').status,
    ).toBe(0)
    const pid = podman('inspect', '-f', '{{.State.Pid}}', 'a').stdout.trim()
    const group = on
      .run(['sh', '-c', `grep '${isV2 ? '0::' : ':memory:'}' /proc/${pid}/cgroup`])
      .stdout.trim()
      .split(':')[2]
    const limitOf = (v1: `${string}/${string}`, v2: string) =>
      readFileSync(groupFile(group ?? '', { v1, v2 }), 'utf8').trim()
    expect(limitOf('memory/memory.limit_in_bytes', 'memory.max')).toBe(String(32 << 20))
    expect(limitOf('pids/pids.max', 'pids.max')).toBe('50')
    expect(limitOf('cpu/cpu.cfs_quota_us', 'cpu.max')).toMatch(/^50000( 100000)?$/)
    expect(podman('exec', 'a', 'sh', '-c', 'echo in; exit 5')).toMatchObject({ status: 5, stdout: 'in\n' })
    // As short as can be: who reaps it must be conmon, even when it ends before we do.
    for (let count = 0; count < 12; count++)
      expect(podman('exec', 'a', 'true')).toMatchObject({ status: 0, stderr: '' })
    expect(podman('exec', 'a', 'nothing').status).toBe(127)
    expect(
      podman('exec', '-e', 'A=b', '-w', '/tmp', '-u', '5:6', 'a', 'sh', '-c', 'echo $A $PWD $(id -u)').stdout,
    ).toBe('b /tmp 5\n')
    expect(podman('exec', '-d', 'a', 'sleep', '99').status).toBe(0)
    expect(podman('top', 'a', 'args').stdout).toContain('sleep 99')
    expect(podman('stats', '--no-stream', '--format', '{{.PIDs}} {{.MemUsage}}', 'a').stdout).toMatch(
      /^2 .+ \/ 33\.55MB/,
    )
    expect(podman('pause', 'a').status).toBe(0)
    expect(podman('ps', '-a', '--format', '{{.Status}}').stdout).toContain('Paused')
    expect(podman('unpause', 'a').status).toBe(0)
    expect(podman('update', '--memory', '64m', 'a').status).toBe(0)
    expect(limitOf('memory/memory.limit_in_bytes', 'memory.max')).toBe(String(64 << 20))
    expect(podman('cp', 'a:/etc/passwd', join(on.folder, 'copied')).status).toBe(0)
    expect(readFileSync(join(on.folder, 'copied'), 'utf8')).toContain('root')
    expect(podman('kill', '-s', 'KILL', 'a').status).toBe(0)
    expect(podman('wait', 'a').stdout).toBe('137\n')
    expect(podman('logs', 'a').stdout).toBe('begun\n')
    expect(podman('rm', 'a').status).toBe(0)
  })

  it('exec -it: a terminal of its own', () => {
    expect(podman('run', '-d', '--name', 't', ...options(), 'box:1', 'sleep', '300').status).toBe(0)
    const command = words('exec', '-it', 't', 'tty').map((word) => `'${word}'`)
    expect(on.run(['script', '-qec', command.join(' '), '/dev/null'], { env }).stdout).toContain('/dev/pts/0')
    expect(podman('rm', '-f', '-t', '0', 't').status).toBe(0)
  })

  it.each<[string, string[], string[], string | RegExp]>([
    ['--userns by maps', ['--uidmap', '0:100000:5000'], ['cat', '/proc/self/uid_map'], /^\s+0\s+100000\s+5000\n$/],
    ['--cap-drop all', ['--cap-drop', 'all'], ['grep', 'CapBnd', '/proc/self/status'], 'CapBnd:\t0000000000000000\n'],
    [
      '--cap-add',
      ['--cap-drop', 'all', '--cap-add', 'NET_ADMIN'],
      ['grep', 'CapEff', '/proc/self/status'],
      'CapEff:\t0000000000001000\n',
    ],
    ['seccomp, the default', [], ['grep', 'Seccomp:', '/proc/self/status'], 'Seccomp:\t2\n'],
    [
      'seccomp=unconfined',
      ['--security-opt', 'seccomp=unconfined'],
      ['grep', 'Seccomp:', '/proc/self/status'],
      'Seccomp:\t0\n',
    ],
    [
      'no-new-privileges',
      ['--security-opt', 'no-new-privileges'],
      ['grep', 'NoNewPrivs', '/proc/self/status'],
      'NoNewPrivs:\t1\n',
    ],
    [
      '--tmpfs',
      ['--tmpfs', '/mnt:size=1m'],
      ['sh', '-c', 'df /mnt | tail -1 | tr -s " "'],
      'tmpfs 1024 0 1024 0% /mnt\n',
    ],
    ['a volume', ['-v', 'v1:/mnt'], ['sh', '-c', 'touch /mnt/x && ls /mnt'], 'x\n'],
    [
      'hostname, environment, user, folder',
      ['--hostname', 'h', '--env', 'A=b', '-u', '5:6', '-w', '/tmp'],
      ['sh', '-c', 'echo $(hostname) $A $(id -u):$(id -g) $PWD'],
      'h b 5:6 /tmp\n',
    ],
    ['--ulimit', ['--ulimit', 'nofile=100:200'], ['sh', '-c', 'ulimit -n; ulimit -Hn'], '100\n200\n'],
    ['--sysctl', ['--sysctl', 'net.ipv4.ip_forward=1'], ['cat', '/proc/sys/net/ipv4/ip_forward'], '1\n'],
    ['--device', ['--device', '/dev/fuse'], ['sh', '-c', 'test -c /dev/fuse && echo there'], 'there\n'],
    [
      '--privileged: all that this machine has',
      ['--privileged'],
      ['grep', 'CapEff', '/proc/self/status'],
      /^CapEff:\t000001ff/,
    ],
    ['--shm-size', ['--shm-size', '2m'], ['sh', '-c', 'df /dev/shm | tail -1 | tr -s " " | cut -d" " -f2'], '2048\n'],
  ])('%s', (_name, flags, command, expected) => {
    const { status, stdout, stderr } = once(flags, ...command)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    if (typeof expected === 'string') expect(stdout).toBe(expected)
    else expect(stdout).toMatch(expected)
  })

  it('--read-only refuses to write, a read-only volume too', () => {
    expect(once(['--read-only'], 'touch', '/x')).toMatchObject({
      status: 1,
      stderr: 'touch: /x: Read-only file system',
    })
    const bound = once(['-v', `${join(on.rootfs, 'etc')}:/mnt:ro`], 'sh', '-c', 'ls /mnt; touch /mnt/x')
    expect(bound).toMatchObject({ status: 1, stdout: 'group\npasswd\n' })
  })

  it('--security-opt seccomp=FILE: a profile of the user’s own', () => {
    const profile = join(on.folder, 'profile.json')
    const rule = { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 }
    writeFileSync(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] }))
    const made = once(['--security-opt', `seccomp=${profile}`], 'sh', '-c', 'mkdir /tmp/x; touch /tmp/y && echo fine')
    expect(made.stdout).toBe('fine\n')
    expect(made.stderr).toMatch(/mkdir: .*(not supported)/)
  })

  it.skipIf(!has('gcc'))('--init (needs gcc): a first process of the engine’s', () => {
    const program = join(on.folder, 'init')
    const source = '#include <unistd.h>\nint main(int n, char **a) { return n > 2 ? execvp(a[2], a + 2) : 99; }\n'
    writeFileSync(`${program}.c`, source)
    expect(spawnSync('gcc', ['-static', '-o', program, `${program}.c`]).status).toBe(0)
    expect(once(['--init', '--init-path', program], 'echo', 'by init')).toMatchObject(fine('by init\n'))
  })

  it('a health check, stop, start, restart', async () => {
    const check = ['--health-cmd', 'test -e /tmp/fine', '--health-interval', 'disable']
    expect(podman('run', '-d', '--name', 'h', ...options(), ...check, 'box:1', 'sleep', '300').status).toBe(0)
    expect(podman('healthcheck', 'run', 'h').status).toBe(1)
    expect(podman('exec', 'h', 'touch', '/tmp/fine').status).toBe(0)
    expect(podman('healthcheck', 'run', 'h').status).toBe(0)
    expect(podman('stop', '-t', '0', 'h').status).toBe(0)
    expect(podman('start', 'h').status).toBe(0)
    expect(podman('restart', '-t', '0', 'h').status).toBe(0)
    await sleep(100)
    expect(podman('ps', '--format', '{{.Names}} {{.Status}}').stdout).toMatch(/^h Up/m)
    expect(podman('rm', '-f', '-t', '0', 'h').status).toBe(0)
  })

  // There podman 4.3 itself denies the group of a pod all devices, and no runtime can open /dev/null: runc cannot either.
  it.skipIf(isV2)('a pod: containers share its namespaces by path', () => {
    const infra = ['--infra-image', 'box:1', '--infra-command', 'sleep 300']
    expect(
      podman(
        'pod',
        'create',
        '--name',
        'p',
        '--network',
        'none',
        '--cgroup-parent',
        `/${on.cgroup}`,
        '--hostname',
        'inpod',
        ...infra,
      ),
    ).toMatchObject({ status: 0 })
    const inPod = (...command: string[]) => podman('run', '--rm', '--pod', 'p', 'box:1', ...command)
    const [first, second] = [inPod('readlink', '/proc/self/ns/net'), inPod('readlink', '/proc/self/ns/net')]
    expect(first).toMatchObject({ status: 0, stdout: second.stdout })
    expect(inPod('hostname').stdout).toBe('inpod\n')
    expect(podman('pod', 'rm', '-f', '-t', '0', 'p').status).toBe(0)
  })
})
