import { dirname, posix } from 'node:path'
import type { CoracleError } from '../base/errors.ts'
import { mountOptions } from '../birth/mount-options.ts'
import { mountAttributes } from '../linux/constants.ts'
import { isOnNoexec } from '../linux/mount-table.ts'
import { containerError } from './errors.ts'
import { findInside, type Inside } from './find-inside.ts'
import { type ProgramFile, readProgramFile } from './program-file.ts'
import type { SavedConfig } from './saved-config.ts'

/**
 * What is really missing when execve says ENOENT, EACCES or ENOEXEC, from looking at the file: the kernel says ENOENT
 * for a missing interpreter as well, and EACCES for a filesystem without programs. Any other failure is returned as it is.
 */
export function explainExec(failed: CoracleError, config: SavedConfig): CoracleError {
  const { syscall, errno } = failed.facts
  if (syscall !== 'execve') return failed
  const args = config.spec.process?.args ?? []
  const program = args[0] ?? ''
  const reason = `${reasonFor(program, config)} (${wordsOf(String(errno))})`
  return containerError(
    'EXEC_FAILED',
    `exec ${JSON.stringify(program)}: ${reason}`,
    { ...failed.facts, program },
    failed,
  )
}

/** With the C library's words, which engines look for to tell 126 from 127. */
function wordsOf(errno: string): string {
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EACCES: 'permission denied',
    ENOEXEC: 'exec format error',
  }
  return words[errno] === undefined ? errno : `${errno}: ${words[errno]}`
}

function reasonFor(program: string, config: SavedConfig): string {
  const found = program.includes('/') ? findInside(config, inFolder(program, config)) : findInPath(config, program)
  if (found === undefined)
    return program.includes('/') ? 'no such file in the image' : 'executable file not found in $PATH'
  return problemOf(found, config, 'it') ?? 'the kernel refused it'
}

const inFolder = (path: string, { spec }: SavedConfig) => posix.resolve(spec.process?.cwd ?? '/', path)

/** Why a file cannot be run, and what it needs; `it` is how it is called. */
function problemOf(found: Inside, config: SavedConfig, it: string): string | undefined {
  const { stat, file } = found
  if (stat.isDirectory()) return `${it} is a folder`
  if (!stat.isFile()) return `${it} is no regular file`
  if ((stat.mode & 0o111) === 0) return it === 'it' ? 'the file is not executable' : `${it} is not executable`
  return forbidden(found, config, it) ?? withoutPrograms(found, it) ?? needOf(readProgramFile(file), config, it)
}

function needOf(program: ProgramFile, config: SavedConfig, it: string): string | undefined {
  const its = it === 'it' ? 'its' : `${it}’s`
  if (program.kind === 'neither') return `${it} is neither an ELF program nor a script with #!`
  if (program.kind === 'elf') {
    const { machine, loader } = program
    const own = machinesOf[process.arch] ?? []
    if (!own.includes(machine)) {
      return `${it} is built for another architecture (${machineName(machine)}, and this host is ${machineName(own[0])})`
    }
    if (loader === undefined || findInside(config, loader)) return undefined
    return `${its} loader ${loader} does not exist in the image`
  }
  const { interpreter, endsWithCr } = program
  if (endsWithCr) return `${its} first line ends with CR LF, as on Windows, so the interpreter is not found`
  const found = findInside(config, inFolder(interpreter, config))
  if (!found) return `${its} interpreter ${interpreter} does not exist in the image`
  // The kernel follows a few scripts of scripts; whoever has a loop of them hears of the first two.
  return it === 'it' ? problemOf(found, config, `its interpreter ${interpreter}`) : undefined
}

/** EM_… of elf.h, and which of them a host of ours runs. */
const machinesOf: Readonly<Record<string, readonly number[]>> = { x64: [62, 3], arm64: [183, 40] }
const machineNames: Readonly<Record<number, string>> = {
  3: 'i386',
  8: 'mips',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  62: 'x86-64',
  183: 'arm64',
  243: 'riscv',
  258: 'loongarch',
}
const machineName = (machine = 0) => machineNames[machine] ?? `ELF machine ${machine}`

function withoutPrograms({ file, mount }: Inside, it: string): string | undefined {
  const { attributes, recursive } = mountOptions(mount ?? { destination: '/' })
  if ((attributes.set | recursive.set) & mountAttributes.MOUNT_ATTR_NOEXEC) {
    return `${it} lies on ${mount?.destination}, which is mounted noexec`
  }
  return isOnNoexec(file) ? `${it} lies on a filesystem that the host has mounted noexec` : undefined
}

/** By the mode of the file and of the folders above it. A user namespace turns the ids around: nothing is said of it. */
function forbidden({ path, stat }: Inside, config: SavedConfig, it: string): string | undefined {
  const { process: process_, linux } = config.spec
  const overrides = process_?.capabilities?.effective?.includes('CAP_DAC_OVERRIDE') ?? false
  if (overrides || linux?.uidMappings?.length) return undefined
  const { uid, gid, additionalGids = [] } = { uid: 0, gid: 0, ...process_?.user }
  const bitsFor = (one: Inside['stat']) =>
    one.uid === uid ? one.mode >> 6 : [gid, ...additionalGids].includes(one.gid) ? one.mode >> 3 : one.mode
  const says = (one: Inside['stat']) => `mode 0${(one.mode & 0o7777).toString(8)} of ${one.uid}:${one.gid}`
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const above = findInside(config, folder)?.stat
    if (above && (bitsFor(above) & 1) === 0) return `user ${uid}:${gid} may not enter ${folder} (${says(above)})`
    if (folder === '/') break
  }
  return (bitsFor(stat) & 1) === 0 ? `user ${uid}:${gid} may not run ${it} (${says(stat)})` : undefined
}

function findInPath(config: SavedConfig, program: string): Inside | undefined {
  const path = config.spec.process?.env?.findLast((line) => line.startsWith('PATH='))?.slice(5) ?? '/bin:/usr/bin'
  for (const folder of path.split(':')) {
    const found = findInside(config, inFolder(`${folder || '.'}/${program}`, config))
    if (found) return found
  }
  return undefined
}
