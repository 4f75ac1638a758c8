import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** How the layers of a test image are packed. */
export type Packing = 'gzip' | 'zstd'

const packings = {
  gzip: { command: 'gzip', flags: ['-6', '-c'], mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
  zstd: { command: 'zstd', flags: ['-3', '-c', '-q'], mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd' },
} as const

/** Files of this host, as a Debian root would have them: small and large ones, links and folders, some 300 MB. */
export function systemFiles(bytes: number): { path: string; size: number }[] {
  const found: { path: string; size: number }[] = []
  let left = bytes
  const walk = (folder: string) => {
    found.push({ path: folder, size: 0 })
    for (const entry of readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (left <= 0) return
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (entry.isFile() || entry.isSymbolicLink()) {
        const { size } = lstatSync(path)
        if (size > 20e6) continue
        found.push({ path, size })
        left -= size
      }
    }
  }
  for (const folder of [
    '/etc',
    '/usr/share/perl',
    '/usr/share/doc',
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/python3',
    '/usr/bin',
  ]) {
    walk(folder)
  }
  return found
}

/** Writes an OCI layout with one image of these files in so many layers of equal size. Returns the bytes without packing. */
export function writeLayout(
  folder: string,
  files: readonly { path: string; size: number }[],
  { layers, packing }: { layers: number; packing: Packing },
): number {
  const { command, flags, mediaType } = packings[packing]
  const blobs = join(folder, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  const share = files.reduce((sum, { size }) => sum + size, 0) / layers
  const parts: string[][] = Array.from({ length: layers }, () => [])
  let before = 0
  for (const { path, size } of files) {
    parts[Math.min(layers - 1, Math.floor(before / share))]?.push(path)
    before += size
  }
  const keep = (bytes: Buffer) => {
    const digest = createHash('sha256').update(bytes).digest('hex')
    writeFileSync(join(blobs, digest), bytes)
    return { digest: `sha256:${digest}`, size: bytes.length }
  }
  let total = 0
  const diffs: string[] = []
  const described = parts.map((paths) => {
    const [list, tar] = [join(folder, 'list'), join(folder, 'tar')]
    writeFileSync(list, paths.join('\0'))
    execFileSync('tar', ['--no-recursion', '--null', '-P', '--transform', 's,^/,,', '-cf', tar, '-T', list])
    const plain = readFileSync(tar)
    total += plain.length
    diffs.push(`sha256:${createHash('sha256').update(plain).digest('hex')}`)
    return { mediaType, ...keep(execFileSync(command, [...flags, tar], { maxBuffer: 2 ** 30 })) }
  })
  for (const name of ['list', 'tar']) rmSync(join(folder, name))
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const config = { architecture, os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: diffs } }
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...keep(Buffer.from(JSON.stringify(config))) },
    layers: described,
  }
  const top = { mediaType: manifest.mediaType, ...keep(Buffer.from(JSON.stringify(manifest))) }
  const annotations = { 'org.opencontainers.image.ref.name': 'bench' }
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [{ ...top, annotations }] }))
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  return total
}
