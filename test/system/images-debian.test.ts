import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { aRegistry, type Registry } from './images/registry.ts'
import { aWorkshop, seenThroughOverlay, type Workshop, wholeTree } from './images/store.ts'

/** A whole Debian, made by debootstrap, packed by umoci and by buildah, brought through docker-registry. */
const has = (program: string) => existsSync(`/usr/bin/${program}`) || existsSync(`/usr/sbin/${program}`)
const isRoot = process.getuid?.() === 0
const programs = ['skopeo', 'docker-registry', 'umoci', 'buildah', 'debootstrap', 'python3']
/** Made once: it takes minutes, and packages from the network. */
const root = join(import.meta.dirname, '../../node_modules/.cache/debian-minbase.tar')
/** Where this machine gets its own packages from. */
const mirror = isRoot && has('debootstrap') ? configuredMirror() : ''
const canRun = isRoot && programs.every(has) && (existsSync(root) || (await mirrorAnswers()))
const test = it.skipIf(!canRun)

function configuredMirror(): string {
  const format = ['indextargets', '--format', '$(REPO_URI) $(ARCHITECTURE)', 'Created-By: Packages', 'Component: main']
  const rows = execFileSync('apt-get', format, { encoding: 'utf8' }).split('\n')
  return (
    rows
      .map((row) => row.split(' ')[0] ?? '')
      .find((uri) => /\/debian\/?$/.test(uri))
      ?.replace(/\/$/, '') ?? ''
  )
}

async function mirrorAnswers(): Promise<boolean> {
  const signal = AbortSignal.timeout(5000)
  return fetch(`${mirror}/dists/bookworm/Release`, { method: 'HEAD', signal }).then(
    ({ ok }) => ok,
    () => false,
  )
}

/** A script in a mount namespace of its own, so that nothing of other people's tools is left. */
async function inside(script: string, cwd: string): Promise<string> {
  const args = ['-m', '--propagation', 'private', 'sh', '-ec', script]
  return (await promisify(execFile)('unshare', args, { cwd, timeout: 900_000, maxBuffer: 1 << 27, encoding: 'latin1' }))
    .stdout
}

let workshop: Workshop
let registry: Registry
beforeAll(async () => {
  if (!canRun) return
  workshop = await aWorkshop()
  registry = await aRegistry()
  if (existsSync(root)) return
  const script = `debootstrap --variant=minbase bookworm made ${mirror} >&2; tar --numeric-owner --xattrs -C made -cf root.tar .`
  await inside(script, workshop.folder)
  mkdirSync(join(root, '..'), { recursive: true })
  // Whole or not at all, on another filesystem too.
  await inside(`cp root.tar ${root}.part`, workshop.folder)
  renameSync(`${root}.part`, root)
}, 960_000)
afterAll(async () => {
  await registry?.close()
  await workshop?.close()
  // Some hundred thousand files are removed.
}, 300_000)

test('by umoci: our tree is the one that umoci unpacks, and its programs run', { timeout: 400_000 }, async () => {
  const ref = `${registry.host}/debian/umoci:1`
  const { folder, images } = workshop
  const steps = [
    `umoci init --layout layout && umoci new --image layout:d && umoci raw add-layer --image layout:d ${root}`,
    'umoci config --image layout:d --config.cmd /bin/bash',
    `skopeo --insecure-policy copy -q --dest-tls-verify=false oci:layout:d docker://${ref}`,
    'umoci unpack --image layout:d bundle >&2',
  ]
  await inside(steps.join('\n'), folder)
  const { config } = await images.pull(ref)
  expect(config.Cmd).toEqual(['/bin/bash'])
  const { overlay } = await images.prepare('umoci', ref)
  mkdirSync(join(folder, 'scratch'))
  const ours = seenThroughOverlay(overlay.lower, join(folder, 'scratch'), wholeTree)
  const theirs = await inside(wholeTree, join(folder, 'bundle/rootfs'))
  expect(ours.length).toBeGreaterThan(500_000)
  expect(ours === theirs).toBe(true)
  const run = `chroot . /usr/bin/dpkg-query -W -f '\${Package}\\n'; chroot . /bin/bash -c 'perl -e "print 6 * 7"'`
  const said = seenThroughOverlay(overlay.lower, join(folder, 'scratch'), run)
  expect(said).toMatch(/^apt$/m)
  expect(said).toMatch(/42$/)
})

test('by buildah: pulled, changed, pushed, and pulled again by skopeo byte by byte', { timeout: 400_000 }, async () => {
  const [ref, changed] = [`${registry.host}/debian/buildah:1`, `${registry.host}/debian/changed:1`]
  const { folder, images } = workshop
  const buildah = `buildah --root ${folder}/b/root --runroot ${folder}/b/run --storage-driver vfs`
  const steps = [
    `c=$(${buildah} from scratch)`,
    `${buildah} add -q $c ${root} /`,
    `${buildah} config --cmd /bin/bash --env MADE=by-buildah $c`,
    `${buildah} commit -q $c debian`,
    `c=$(${buildah} from debian)`,
    `m=$(${buildah} mount $c); rm -r $m/usr/share/doc; echo second > $m/etc/motd`,
    `${buildah} commit -q $c debian`,
    `${buildah} push -q --tls-verify=false debian docker://${ref}`,
  ]
  await inside(steps.join('\n'), folder)
  const pulled = await images.pull(ref)
  expect(pulled).toMatchObject({ config: { Cmd: ['/bin/bash'] } })
  expect(pulled.config.Env).toContain('MADE=by-buildah')
  const { overlay } = await images.prepare('buildah', ref)
  expect(overlay.lower).toHaveLength(2)
  mkdirSync(join(folder, 'scratch-b'))
  const look = 'cat etc/motd; ls usr/share/doc 2>&1 || true; chroot . /usr/bin/dpkg --print-architecture'
  expect(seenThroughOverlay(overlay.lower, join(folder, 'scratch-b'), look)).toMatch(
    /^second\n.*No such file or directory\n(amd64|arm64)\n$/,
  )
  const made = await images.commit('buildah', { ref: changed, changes: ['ENV AGAIN=yes'] })
  await images.push(changed)
  const copy = join(folder, 'copy')
  await inside(`skopeo --insecure-policy copy -q --src-tls-verify=false docker://${changed} dir:${copy}`, folder)
  const manifest = readFileSync(join(copy, 'manifest.json'))
  expect(`sha256:${createHash('sha256').update(manifest).digest('hex')}`).toBe(made.digest)
  const { layers } = JSON.parse(manifest.toString()) as { layers: { digest: string }[] }
  for (const hex of layers.map(({ digest }) => digest.slice(7))) {
    const [ours, theirs] = [join(workshop.root, 'blobs/sha256', hex), join(copy, hex)]
    await inside(`cmp ${ours} ${theirs}`, folder)
  }
  expect((await images.check()).faults).toEqual([])
})
