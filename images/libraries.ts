import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type ElfFile, readElf } from './elf.ts'
import { imageError } from './errors.ts'

/** A file of the host that a program cannot run without, and where the dynamic linker will look for it. */
export interface NeededFile {
  from: string
  to: string
}

const usualFolders = ['/lib64', '/usr/lib64', '/lib', '/usr/lib']

/**
 * The dynamic linker and all libraries that a program of this host needs, found as ld.so(8) finds them: DT_RUNPATH, then
 * the folders of /etc/ld.so.conf, then the usual ones. All libraries go into the folder that has the C library, which
 * every dynamic linker searches without further configuration. Libraries that a program opens by itself (dlopen) are not
 * seen. Throws `IMAGE_BUILD` naming what is missing.
 */
export function librariesOf(program: string): NeededFile[] {
  const elf = readElf(program)
  if (elf.interpreter === undefined) return []
  const folders = [...configuredFolders('/etc/ld.so.conf'), ...usualFolders]
  const found = new Map<string, string>()
  collect({ path: program, elf, folders, found })
  const target = dirname(found.get('libc.so.6') ?? join(usualFolders[2] ?? '/lib', 'libc.so.6'))
  const linker = { from: elf.interpreter, to: elf.interpreter }
  const libraries = [...found].map(([name, from]) => ({ from, to: join(target, name) }))
  return [linker, ...libraries.filter(({ to }) => basename(to) !== basename(linker.to))]
}

function collect(o: { path: string; elf: ElfFile; folders: readonly string[]; found: Map<string, string> }): void {
  const own = o.elf.runpath.map((folder) => folder.replaceAll(/\$ORIGIN|\$\{ORIGIN\}/g, dirname(o.path)))
  for (const name of o.elf.needed) {
    if (o.found.has(name)) continue
    const { from, elf } = find(name, { ...o, folders: [...own, ...o.folders] })
    o.found.set(name, from)
    collect({ ...o, path: from, elf })
  }
}

function find(
  name: string,
  { path, elf, folders }: { path: string; elf: ElfFile; folders: readonly string[] },
): { from: string; elf: ElfFile } {
  const candidates = name.includes('/') ? [name] : folders.map((folder) => join(folder, name))
  for (const from of candidates.filter(existsSync)) {
    const candidate = readElf(from)
    if (candidate.machine === elf.machine) return { from, elf: candidate }
  }
  throw imageError('IMAGE_BUILD', `find libraries of ${path}: ${name} is nowhere on this host`, {
    hint: `looked in ${folders.join(', ')}`,
  })
}

/** The folders that ld.so.conf names, with the files that it includes. */
function configuredFolders(file: string): string[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .flatMap((line) => {
      const pattern = /^include\s+(.+)$/.exec(line)?.[1]
      if (pattern !== undefined) return included(join(dirname(file), '.'), pattern).flatMap(configuredFolders)
      return line.startsWith('/') ? [line] : []
    })
}

/** Files that match a pattern whose last part may have a star. */
function included(base: string, pattern: string): string[] {
  const whole = pattern.startsWith('/') ? pattern : join(base, pattern)
  const folder = dirname(whole)
  const [before = '', after = ''] = basename(whole).split('*')
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((name) => name.startsWith(before) && name.endsWith(after))
    .sort()
    .map((name) => join(folder, name))
}
