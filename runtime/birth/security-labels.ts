import type { HostFacts } from '../linux/host.ts'
import { specUnsupported } from '../spec/errors.ts'
import type { OciMount, OciProcess, OciSpec } from '../spec/types.ts'
import { writeFile } from '../tape/calls.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

/** Throws SPEC_UNSUPPORTED, naming the field, for a label of a security module that this kernel does not run. */
export function checkLabels({ process, linux }: Pick<OciSpec, 'process' | 'linux'>, host: HostFacts): void {
  const need = (field: string, label: string | undefined, [name, isThere]: [string, boolean]) => {
    if (label && !isThere)
      throw specUnsupported(field, `${name} is not active on this host, so it would not be enforced`)
  }
  need('process.apparmorProfile', process?.apparmorProfile, ['AppArmor', host.modules.apparmor])
  need('process.selinuxLabel', process?.selinuxLabel, ['SELinux', host.modules.selinux])
  need('linux.mountLabel', linux?.mountLabel, ['SELinux', host.modules.selinux])
}

/**
 * The labels that execve will give. Written through the host's own /proc, before any root or mount namespace of a container is
 * entered, so that no image can have put another file there (CVE-2025-52881); what is made by clone3 inherits them.
 */
export function recordLabels(tape: SyscallTape, { apparmorProfile, selinuxLabel }: OciProcess): void {
  if (!apparmorProfile && !selinuxLabel) return
  tape.because('security labels for execve, through the host’s /proc (CVE-2025-52881)')
  if (apparmorProfile) {
    const text = `exec ${apparmorProfile}`
    // Its own folder (Linux 5.8): the file without is the first module's, whichever that is.
    writeFile(tape, '/proc/self/attr/apparmor/exec', text)
  }
  if (selinuxLabel) writeFile(tape, '/proc/self/attr/exec', selinuxLabel)
}

/** Filesystems of which the files get the label of the mount. */
const labelled: ReadonlySet<string> = new Set(['tmpfs', 'devpts', 'mqueue', 'ramfs', 'shm'])

/** `linux.mountLabel` as an option of a new filesystem. */
export function labelOption({ type = '' }: OciMount, { linux }: OciSpec): string[] {
  return linux?.mountLabel && labelled.has(type) ? [`context=${linux.mountLabel}`] : []
}
