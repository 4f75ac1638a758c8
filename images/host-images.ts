import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { BuildOptions } from './build.ts'
import { imageError } from './errors.ts'

const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Options for an image that runs this host's Node. */
export function nodeImage(ref: string, nodePath: string): BuildOptions {
  return {
    ref,
    programs: [{ from: nodePath, to: '/usr/local/bin/node' }],
    config: { Env: [`PATH=${usualPath}`], Entrypoint: ['/usr/local/bin/node'], WorkingDir: '/' },
  }
}

/** Options for an image of a static busybox, with a link for each of its programs. Throws `IMAGE_BUILD`. */
export function busyboxImage(ref: string, busyboxPath: string): BuildOptions {
  const programs = busyboxPrograms(readFileSync(busyboxPath))
  if (programs.length === 0) throw imageError('IMAGE_BUILD', `build ${ref}: ${busyboxPath} names no programs`)
  return {
    ref,
    programs: [{ from: busyboxPath, to: '/bin/busybox' }],
    links: Object.fromEntries(programs.filter((name) => name !== 'busybox').map((name) => [`/bin/${name}`, 'busybox'])),
    config: { Env: [`PATH=${usualPath}`], Cmd: ['sh'], WorkingDir: '/' },
  }
}

/** busybox holds the names of its programs as one sorted list of texts, of which `[` and `[[` are the first. */
export function busyboxPrograms(bytes: Buffer): string[] {
  const start = bytes.indexOf('[\0[[\0')
  if (start < 0) return []
  const end = bytes.indexOf('\0\0', start)
  const names = bytes.toString('latin1', start, end).split('\0')
  return names.every((name) => /^[\w.[-]+$/.test(name) && basename(name) === name) ? names : []
}
