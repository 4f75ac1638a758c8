import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type CniResult, type Network, openNetwork } from '../../cni/index.ts'
import { NetlinkConnection } from '../../cni/netlink/connection.ts'
import { findLink, listLinks, setLink } from '../../cni/netlink/links.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { openNftables } from '../../runtime/linux/nftables.ts'
import { type Holder, holdNetwork, leaveForOwnNetwork, outputOf } from './cni/own-network.ts'

const debianPlugins = '/usr/lib/cni'
const isRoot = process.getuid?.() === 0

interface Variant {
  name: string
  cniVersion: string
  builtins: boolean
  /** Folder of the programs, if they are not built in. */
  programs: () => string
  skip: boolean
}

const variants: Variant[] = [
  { name: 'built in', cniVersion: '1.1.0', builtins: true, programs: () => '', skip: !isRoot },
  { name: 'ours as programs', cniVersion: '1.1.0', builtins: false, programs: () => ownPrograms(), skip: !isRoot },
  {
    name: 'programs of the distribution',
    cniVersion: '1.0.0',
    builtins: false,
    programs: () => debianPlugins,
    skip: !isRoot || !existsSync(debianPlugins),
  },
]

const subnet = '10.231.7.0/24'
const gateway = '10.231.7.1'
const bridge = 'corbr0'

let folder: string
let netlink: NetlinkConnection
const holders: Holder[] = []

beforeAll(async () => {
  leaveForOwnNetwork()
  folder = mkdtempSync(join(tmpdir(), 'coracle-cni-'))
  netlink = new NetlinkConnection()
  const lo = await findLink(netlink, 'lo')
  if (lo) await setLink(netlink, lo, { up: true })
})

afterEach(async () => {
  for (const holder of holders.splice(0)) await holder.close()
  await removeBridge()
})

afterAll(async () => {
  expect((await listLinks(netlink)).map(({ name }) => name)).toEqual(['lo'])
  const nft = openNftables()
  const ruleset = nft.run('list ruleset')
  nft.close()
  expect(ruleset).toBe('')
  rmSync(join(folder, 'programs'), { recursive: true, force: true })
  expect(filesBelow(folder).filter((file) => !/\/(lock|last_reserved_ip\.\d)$/.test(file))).toEqual([])
  netlink.close()
  rmSync(folder, { recursive: true })
})

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

async function removeBridge(): Promise<void> {
  const link = await findLink(netlink, bridge)
  if (link) await outputOf(spawn('ip', ['link', 'delete', bridge]), 'delete bridge')
}

async function aHolder(): Promise<Holder> {
  const holder = await holdNetwork()
  holders.push(holder)
  return holder
}

function aConflist(variant: Variant, more: Record<string, unknown> = {}, ipam: Record<string, unknown> = {}) {
  return {
    cniVersion: variant.cniVersion,
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge,
        isDefaultGateway: true,
        ...more,
        ipam: { type: 'host-local', dataDir: join(folder, 'ipam'), ranges: [[{ subnet }]], ...ipam },
      },
    ],
  }
}

function aNetwork(variant: Variant, more: Record<string, unknown> = {}, ipam = {}): Promise<Network> {
  return openNetwork({
    conflist: aConflist(variant, more, ipam),
    stateDir: join(folder, 'state'),
    pluginDirs: variant.builtins ? [] : [variant.programs()],
    log: silentLog,
    ...(variant.builtins ? {} : { builtins: new Map() }),
  })
}

/** Our plugins behind the exec protocol, as another runtime would call them. */
function ownPrograms(): string {
  const programs = join(folder, 'programs')
  if (existsSync(programs)) return programs
  mkdirSync(programs)
  const script = `
    import { text } from 'node:stream/consumers'
    import { servePlugin } from '${join(import.meta.dirname, '../../cni/index.ts')}'
    const { stdout, exitCode } = await servePlugin(process.argv.at(-1), process.env, await text(process.stdin))
    process.stdout.write(stdout)
    process.exitCode = exitCode
  `
  writeFileSync(join(programs, 'serve.ts'), script)
  for (const type of ['bridge', 'host-local', 'loopback']) {
    const line = `exec ${process.execPath} ${join(programs, 'serve.ts')} ${type}`
    writeFileSync(join(programs, type), `#!/bin/sh\n${line}\n`, { mode: 0o755 })
  }
  return programs
}

const address = (result: CniResult) => result.ips?.[0]?.address.split('/')[0] ?? ''
const eth0 = (containerId: string, { netns }: { netns: string }) => ({ containerId, netns, ifname: 'eth0' })
const allotted = () => readdirSync(join(folder, 'ipam', 'pods')).filter((name) => name.startsWith('10.'))

describe.each(variants)('bridge and host-local: $name', (variant) => {
  const test = it.skipIf(variant.skip)

  test('add: the result names bridge, both ends, address and routes', async () => {
    const network = await aNetwork(variant)
    const a = await aHolder()
    const result = await network.add(eth0('a', a))
    expect(result.interfaces).toHaveLength(3)
    expect(result.interfaces?.[0]?.name).toBe(bridge)
    expect(result.interfaces?.[2]).toMatchObject({ name: 'eth0', sandbox: a.netns })
    expect(result.ips).toEqual([{ interface: 2, address: expect.stringMatching(/^10\.231\.7\.\d+\/24$/), gateway }])
    expect(result.routes).toEqual([{ dst: '0.0.0.0/0', gw: gateway }])
    const inside = JSON.parse(await a.run('ip', '-json', 'address', 'show', 'eth0'))[0]
    expect(inside).toMatchObject({ operstate: 'UP', address: result.interfaces?.[2]?.mac })
    expect(await a.run('ip', 'route')).toContain(`default via ${gateway}`)
    expect(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim()).toBe('1')
    await network.check(eth0('a', a))
    await network.del(eth0('a', a))
  })

  test('add: two containers and the host reach each other', async () => {
    const network = await aNetwork(variant)
    const [a, b] = [await aHolder(), await aHolder()]
    const [resultA, resultB] = [await network.add(eth0('a', a)), await network.add(eth0('b', b))]
    await a.run('busybox', 'ping', '-c1', '-W2', address(resultB))
    await a.run('busybox', 'ping', '-c1', '-W2', gateway)
    const server = b.start(
      process.execPath,
      '-e',
      `net.createServer(s => s.pipe(s)).listen(7, () => console.log('on'))`,
    )
    await new Promise((resolve) => server.stdout?.once('data', resolve))
    const client = `const s = net.connect(7, '${address(resultB)}', () => s.end('hello')); s.pipe(process.stdout)`
    expect(await a.run(process.execPath, '-e', client)).toBe('hello')
    server.kill('SIGKILL')
    expect(address(resultA)).not.toBe(address(resultB))
    await network.del(eth0('a', a))
    await network.del(eth0('b', b))
  })

  test('add: twenty at once get twenty addresses and all answer', async () => {
    const network = await aNetwork(variant)
    const all = await Promise.all(Array.from({ length: 20 }, () => aHolder()))
    const results = await Promise.all(all.map((holder, at) => network.add(eth0(`c${at}`, holder))))
    expect(new Set(results.map(address)).size).toBe(20)
    for (const result of results) await outputOf(spawn('busybox', ['ping', '-c1', '-W2', address(result)]), 'ping')
    await Promise.all(all.map((holder, at) => network.del(eth0(`c${at}`, holder))))
    expect(allotted()).toEqual([])
    expect((await listLinks(netlink)).map(({ name }) => name).sort()).toEqual([bridge, 'lo'].sort())
  })

  test('del: is idempotent, and works when the namespace is gone', async () => {
    const network = await aNetwork(variant)
    const a = await aHolder()
    await network.add(eth0('a', a))
    await a.close()
    await network.del(eth0('a', a))
    await network.del(eth0('a', a))
    await network.del({ ...eth0('a', a), netns: '' })
    expect(allotted()).toEqual([])
  })

  test('add: a second time for the same container is refused and leaves the first alone', async () => {
    const network = await aNetwork(variant)
    const a = await aHolder()
    await network.add(eth0('a', a))
    await expect(network.add(eth0('b', a))).rejects.toThrow(/eth0/)
    // The DEL that CNI wants after a failed ADD makes the reference plugin remove whatever is called eth0.
    if (variant.cniVersion === '1.1.0') await network.check(eth0('a', a))
    await network.del(eth0('a', a))
  })

  test('add: when no address is left it fails and leaves nothing', async () => {
    const range = { ranges: [[{ subnet: '10.231.8.0/30' }]] }
    const network = await aNetwork(variant, {}, range)
    const [a, b] = [await aHolder(), await aHolder()]
    await network.add(eth0('a', a))
    await expect(network.add(eth0('b', b))).rejects.toThrow(/addresses|none is free/)
    expect(await b.run('ip', '-br', 'link')).not.toContain('eth0')
    await network.del(eth0('a', a))
    expect(allotted()).toEqual([])
  })

  test('check: notices a missing address', async () => {
    const network = await aNetwork(variant)
    const a = await aHolder()
    const result = await network.add(eth0('a', a))
    await a.run('ip', 'address', 'delete', result.ips?.[0]?.address ?? '', 'dev', 'eth0')
    await expect(network.check(eth0('a', a))).rejects.toThrow(/10\.231\.7\./)
    await network.del(eth0('a', a))
  })

  test('del: removes what the other implementation has added', async () => {
    const network = await aNetwork({ ...variant, cniVersion: '1.0.0' })
    const other = variants.find(({ name }) => name !== variant.name)
    if (!other || other.skip) return
    const a = await aHolder()
    await network.add(eth0('a', a))
    const second = await aNetwork({ ...other, cniVersion: '1.0.0' })
    await second.del(eth0('a', a))
    expect(await a.run('ip', '-br', 'link')).not.toContain('eth0')
    expect(allotted()).toEqual([])
    expect(filesBelow(join(folder, 'state'))).toEqual([])
  })
})

describe('bridge and host-local: beyond the reference plugins', () => {
  const test = it.skipIf(!isRoot)
  const builtin: Variant = { name: 'built in', cniVersion: '1.1.0', builtins: true, programs: () => '', skip: false }

  test('ipMasq: what leaves the network carries the address of the host', async () => {
    const network = await aNetwork(builtin, { ipMasq: true })
    const [a, outside] = [await aHolder(), await aHolder()]
    await network.add(eth0('a', a))
    await connectToHost(outside)
    // Nothing there knows the way back to the containers' network: only a masqueraded packet is answered.
    await expect(a.run('busybox', 'ping', '-c1', '-W2', '192.0.2.2')).resolves.toContain('1 packets received')
    await outputOf(spawn('ip', ['link', 'delete', 'uplink']), 'delete uplink')
    await network.teardown()
  })

  test('gc: frees what belongs to nobody, teardown: leaves nothing', async () => {
    const network = await aNetwork(builtin, { ipMasq: true })
    const [a, b] = [await aHolder(), await aHolder()]
    await network.add(eth0('a', a))
    await network.add(eth0('b', b))
    rmSync(join(folder, 'state'), { recursive: true })
    const restarted = await aNetwork(builtin, { ipMasq: true })
    await restarted.gc([{ containerId: 'b', ifname: 'eth0' }])
    expect(allotted()).toHaveLength(1)
    expect(await a.run('ip', '-br', 'link')).not.toContain('eth0')
    expect(await b.run('ip', '-br', 'link')).toContain('eth0')
    await restarted.teardown()
    expect((await listLinks(netlink)).map(({ name }) => name)).toEqual(['lo'])
    expect(existsSync(join(folder, 'ipam', 'pods'))).toBe(false)
  })

  test('add: an asked capability that no plugin has is refused', async () => {
    const network = await aNetwork(builtin)
    const a = await aHolder()
    const capabilities = { portMappings: [{ hostPort: 80, containerPort: 80, protocol: 'tcp' }] }
    await expect(network.add({ ...eth0('a', a), capabilities })).rejects.toMatchObject({
      code: 'CNI_UNSUPPORTED_FIELD',
    })
    await network.add({ ...eth0('a', a), capabilities: { portMappings: [] } })
    await network.del(eth0('a', a))
  })

  test('add: after a kill in the middle it can be done again', async () => {
    const network = await aNetwork(builtin)
    const a = await aHolder()
    const first = await network.add(eth0('a', a))
    // As if ADD had died before it wrote its result and before the move of eth0's address.
    rmSync(join(folder, 'state'), { recursive: true })
    const again = await aNetwork(builtin)
    await again.gc([])
    const second = await again.add(eth0('a', a))
    expect(second.interfaces?.[1]?.name).toBe(first.interfaces?.[1]?.name)
    await again.del(eth0('a', a))
  })

  test('add: IPv4 and IPv6 side by side', async () => {
    const ranges = [[{ subnet }], [{ subnet: 'fd00:231:7::/64' }]]
    const network = await aNetwork(builtin, { ipMasq: true }, { ranges })
    const [a, b] = [await aHolder(), await aHolder()]
    await network.add(eth0('a', a))
    const result = await network.add(eth0('b', b))
    expect(result.ips?.map(({ address: text }) => text)).toEqual([
      expect.stringContaining('10.231.7.'),
      'fd00:231:7::3/64',
    ])
    await a.run('busybox', 'ping', '-6', '-c1', '-W2', 'fd00:231:7::3')
    await network.check(eth0('b', b))
    await network.teardown()
  })

  test('loopback: is up after ADD and answers', async () => {
    const conflist = { cniVersion: '1.1.0', name: 'lo', plugins: [{ type: 'loopback' }] }
    const network = await openNetwork({ conflist, stateDir: join(folder, 'state'), pluginDirs: [], log: silentLog })
    const a = await aHolder()
    const result = await network.add({ containerId: 'a', netns: a.netns, ifname: 'lo' })
    expect(result.ips?.map(({ address: text }) => text)).toContain('127.0.0.1/8')
    await a.run('busybox', 'ping', '-c1', '-W2', '127.0.0.1')
    await network.del({ containerId: 'a', netns: a.netns, ifname: 'lo' })
  })
})

/** A link to the namespace that plays the rest of the world: 192.0.2.1 here, 192.0.2.2 there. */
async function connectToHost(outside: Holder): Promise<void> {
  const ip = (...args: string[]) => outputOf(spawn('ip', args), `ip ${args.join(' ')}`)
  const pid = /\d+/.exec(outside.netns)?.[0] ?? ''
  await ip('link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'world', 'netns', pid)
  await ip('address', 'add', '192.0.2.1/24', 'dev', 'uplink')
  await ip('link', 'set', 'uplink', 'up')
  await outside.run('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'world')
  await outside.run('ip', 'link', 'set', 'world', 'up')
}
