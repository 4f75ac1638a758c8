import { createReadStream, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Pack, pack } from 'tar-stream'
import { imageError } from './errors.ts'
import { librariesOf } from './libraries.ts'
import { type Descriptor, type ImageConfig, mediaTypes } from './manifest.ts'
import { writeImage } from './new-image.ts'
import { hostPlatform } from './platform.ts'
import { formatReference, parseReference } from './reference.ts'
import type { BlobStore } from './store.ts'

/** What an image is composed of. */
export interface BuildOptions {
  /** Name of the image. */
  ref: string
  /** Programs of this host; the libraries that they need come along. */
  programs: readonly { from: string; to: string }[]
  /** Further files, by their path in the image. Folders come by themselves. */
  files?: Readonly<Record<string, { content: string | Uint8Array; mode?: number }>>
  /** Symbolic links: path in the image → target. */
  links?: Readonly<Record<string, string>>
  config: ImageConfig
}

type Node =
  | { kind: 'folder'; mode: number }
  | { kind: 'file'; mode: number; content: Uint8Array }
  | { kind: 'copy'; mode: number; from: string }
  | { kind: 'link'; target: string }

/** The least that programs expect to find: users, names, a place for temporary files. */
const skeleton: Readonly<Record<string, string>> = {
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n',
  '/etc/group': 'root:x:0:\nnogroup:x:65534:\n',
  '/etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
}
const folders = ['/dev', '/etc', '/proc', '/root', '/sys', '/tmp', '/var/tmp']
const folderModes: Readonly<Record<string, number>> = { '/root': 0o700, '/tmp': 0o1777, '/var/tmp': 0o1777 }

/**
 * Composes an image of one layer. The same input makes the same bytes: names in order, all times 0, owner root, no
 * compression (whose output changes between versions of zlib). Throws `IMAGE_BUILD`.
 */
export async function buildImage(
  blobs: BlobStore,
  options: BuildOptions,
): Promise<{ descriptor: Descriptor; references: string[] }> {
  const layer = await blobs.add(tarOf(treeOf(options)))
  const document = {
    created: new Date(0).toISOString(),
    ...hostPlatform,
    config: options.config,
    history: [{ created: new Date(0).toISOString(), created_by: 'coracle images build' }],
  }
  const descriptor = await writeImage(blobs, {
    document,
    layers: [{ descriptor: { mediaType: mediaTypes.ociLayer, ...layer }, diffId: layer.digest }],
  })
  return { descriptor, references: [formatReference(parseReference(options.ref))] }
}

/** Everything that will be in the layer, by path. */
function treeOf(options: BuildOptions): Map<string, Node> {
  const tree = new Map<string, Node>()
  const put = (path: string, node: Node) => {
    if (!path.startsWith('/') || path.includes('/../') || path.endsWith('/')) {
      throw imageError('IMAGE_BUILD', `build ${options.ref}: ${JSON.stringify(path)} is no path of a file`)
    }
    for (let parent = dirname(path); parent !== '/'; parent = dirname(parent)) {
      if (!tree.has(parent)) tree.set(parent, { kind: 'folder', mode: folderModes[parent] ?? 0o755 })
    }
    tree.set(path, node)
  }
  for (const path of folders) put(path, { kind: 'folder', mode: folderModes[path] ?? 0o755 })
  for (const [path, text] of Object.entries(skeleton))
    put(path, { kind: 'file', mode: 0o644, content: Buffer.from(text) })
  for (const { from, to } of options.programs) {
    for (const library of librariesOf(from)) put(library.to, { kind: 'copy', mode: 0o755, from: library.from })
    put(to, { kind: 'copy', mode: 0o755, from })
  }
  for (const [path, { content, mode }] of Object.entries(options.files ?? {})) {
    put(path, { kind: 'file', mode: mode ?? 0o644, content: Buffer.from(content) })
  }
  for (const [path, target] of Object.entries(options.links ?? {})) put(path, { kind: 'link', target })
  return tree
}

function tarOf(tree: ReadonlyMap<string, Node>): AsyncIterable<Uint8Array> {
  const tar = pack()
  const write = async () => {
    const nodes = [...tree].sort(([left], [right]) => (left < right ? -1 : 1))
    for (const [path, node] of nodes) await addTo(tar, path, node)
    tar.finalize()
  }
  write().catch((error: unknown) => tar.destroy(error as Error))
  return tar as AsyncIterable<Uint8Array>
}

async function addTo(tar: Pack, path: string, node: Node): Promise<void> {
  const header = { name: path.slice(1), uid: 0, gid: 0, mtime: new Date(0) }
  switch (node.kind) {
    case 'folder':
      return finished((done) => tar.entry({ ...header, type: 'directory', mode: node.mode }, done))
    case 'link':
      return finished((done) => tar.entry({ ...header, type: 'symlink', mode: 0o777, linkname: node.target }, done))
    case 'file':
      return finished((done) =>
        tar.entry({ ...header, type: 'file', mode: node.mode }, Buffer.from(node.content), done),
      )
    case 'copy': {
      // Piece by piece: a program may be larger than all else that this process holds.
      const { size } = statSync(node.from)
      await pipeline(createReadStream(node.from), tar.entry({ ...header, type: 'file', mode: node.mode, size }))
    }
  }
}

type Done = (error?: Error | null) => void

function finished(begin: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => begin((error) => (error ? reject(error) : resolve())))
}
