import { PR_CAP_AMBIENT_CLEAR_ALL, PR_CAP_AMBIENT_RAISE, prctlOptions } from '../linux/constants.ts'
import type { HostFacts } from '../linux/host.ts'
import type { OciCapabilities } from '../spec/types.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

/** capabilities(7): the place in this list is the kernel's number. */
export const capabilityNames: readonly string[] =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
    .split(' ')
    .map((name) => `CAP_${name}`)

/** The five sets as bit masks. */
export interface CapabilityMasks {
  bounding: bigint
  effective: bigint
  inheritable: bigint
  permitted: bigint
  ambient: bigint
}

/**
 * Names to masks. What neither this table nor the kernel knows, and what we do not have ourselves, is left out and
 * said in `warnings`: the spec asks for that, and a machine without CAP_SYS_RESOURCE must still run containers.
 */
export function capabilityMasks(capabilities: OciCapabilities, host: HostFacts, warnings: string[]): CapabilityMasks {
  const missing = new Set<string>()
  const mask = (names: readonly string[] = []) => {
    let bits = 0n
    for (const name of names) {
      const number = capabilityNames.indexOf(name)
      const bit = 1n << BigInt(Math.max(number, 0))
      if (number < 0 || number > host.lastCapability || (host.permitted & bit) === 0n) missing.add(name)
      else bits |= bit
    }
    return bits
  }
  const permitted = mask(capabilities.permitted)
  const inheritable = mask(capabilities.inheritable)
  const ambient = mask(capabilities.ambient)
  const masks = {
    bounding: mask(capabilities.bounding),
    effective: mask(capabilities.effective) & permitted,
    permitted,
    inheritable,
    ambient: ambient & permitted & inheritable,
  }
  capabilityNames.forEach((name, number) => {
    if (((ambient & ~masks.ambient) >> BigInt(number)) & 1n)
      warnings.push(`can't raise ambient capability ${name}: it is not both permitted and inheritable`)
  })
  if (missing.size > 0) warnings.push(`capabilities not given because this host lacks them: ${[...missing].join(', ')}`)
  return masks
}

/** PR_CAPBSET_DROP of everything outside the bounding set. Needs CAP_SETPCAP, so it comes before capset. */
export function dropBounding(tape: SyscallTape, masks: CapabilityMasks, host: HostFacts): void {
  const drop = { value: prctlOptions.PR_CAPBSET_DROP, shown: 'PR_CAPBSET_DROP' }
  for (let number = 0; number <= host.lastCapability; number++) {
    if ((masks.bounding >> BigInt(number)) & 1n) continue
    tape.call('prctl', [drop, { value: number, shown: capabilityNames[number] ?? String(number) }, 0, 0, 0])
  }
}

/** Every capability that this kernel has: what the first process in a new user namespace holds. */
export function allCapabilities(host: HostFacts): bigint {
  return (1n << BigInt(host.lastCapability + 1)) - 1n
}

/** capset(2). */
export function setSets(
  tape: SyscallTape,
  sets: Pick<CapabilityMasks, 'effective' | 'permitted' | 'inheritable'>,
): void {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(0x20080522) // _LINUX_CAPABILITY_VERSION_3
  const data = Buffer.alloc(24)
  for (const half of [0, 1]) {
    const part = (mask: bigint) => Number((mask >> BigInt(32 * half)) & 0xffffffffn)
    data.writeUInt32LE(part(sets.effective), half * 12)
    data.writeUInt32LE(part(sets.permitted), half * 12 + 4)
    data.writeUInt32LE(part(sets.inheritable), half * 12 + 8)
  }
  const hex = (mask: bigint) => `0x${mask.toString(16)}`
  const shown = `{effective=${hex(sets.effective)}, permitted=${hex(sets.permitted)}, inheritable=${hex(sets.inheritable)}}`
  tape.call('capset', [tape.struct(header, '{v3}'), tape.struct(data, shown)])
}

/** The three sets and the ambient one; after the change of user, which clears the effective set. */
export function setCapabilities(tape: SyscallTape, masks: CapabilityMasks): void {
  setSets(tape, masks)
  const ambient = { value: prctlOptions.PR_CAP_AMBIENT, shown: 'PR_CAP_AMBIENT' }
  tape.call('prctl', [ambient, { value: PR_CAP_AMBIENT_CLEAR_ALL, shown: 'PR_CAP_AMBIENT_CLEAR_ALL' }, 0, 0, 0])
  capabilityNames.forEach((name, number) => {
    if (((masks.ambient >> BigInt(number)) & 1n) === 0n) return
    tape.call('prctl', [
      ambient,
      { value: PR_CAP_AMBIENT_RAISE, shown: 'PR_CAP_AMBIENT_RAISE' },
      { value: number, shown: name },
      0,
      0,
    ])
  })
}
