import { closeSync } from 'node:fs'
import koffi from 'koffi'
import { bind, kernelError } from './ffi.ts'
import { syscallNumber } from './syscall-numbers.ts'

const bpfCall = bind('long syscall(long number, int command, void *attributes, unsigned int size)', 'bpf')
const BPF_PROG_LOAD = 5
const BPF_PROG_ATTACH = 8
const BPF_PROG_DETACH = 9
const BPF_PROG_GET_FD_BY_ID = 13
const BPF_PROG_QUERY = 16
const BPF_PROG_TYPE_CGROUP_DEVICE = 15
const BPF_CGROUP_DEVICE = 6
const BPF_F_ALLOW_MULTI = 2
const BPF_F_REPLACE = 4
/** The kernel keeps at most this many programs of one kind at one group. */
const BPF_CGROUP_MAX_PROGS = 64
const attributeBytes = 72

/**
 * Loads a program for BPF_CGROUP_DEVICE (bpf(2)); instructions of 8 bytes each. Returns a descriptor. Throws `KERNEL`
 * (EPERM without CAP_BPF, EINVAL where the kernel has no CONFIG_CGROUP_BPF); what the verifier said is in the facts.
 */
export function loadDeviceProgram(instructions: Uint8Array, name: string): number {
  const license = Buffer.from('Apache-2.0\0')
  const load = (verifierLog?: Buffer) => {
    const attributes = Buffer.alloc(attributeBytes)
    attributes.writeUInt32LE(BPF_PROG_TYPE_CGROUP_DEVICE, 0)
    attributes.writeUInt32LE(instructions.length / 8, 4)
    attributes.writeBigUInt64LE(koffi.address(instructions), 8)
    attributes.writeBigUInt64LE(koffi.address(license), 16)
    if (verifierLog) {
      attributes.writeUInt32LE(1, 24)
      attributes.writeUInt32LE(verifierLog.length, 28)
      attributes.writeBigUInt64LE(koffi.address(verifierLog), 32)
    }
    attributes.write(name.slice(0, 15), 48, 'latin1')
    return bpf(BPF_PROG_LOAD, attributes)
  }
  const fd = load()
  if (fd >= 0) return fd
  const verifierLog = Buffer.alloc(64 * 1024)
  load(verifierLog)
  const verifier = verifierLog.subarray(0, verifierLog.indexOf(0)).toString('latin1').trim()
  throw kernelError('bpf', ['BPF_PROG_LOAD'], -fd, verifier === '' ? {} : { verifier })
}

/**
 * Makes `program` the only device program at the group that is open as `group`. With one program there before, the
 * kernel exchanges the two at once; with several the new one is added first, so that at no moment less is denied
 * than by both together. Throws `KERNEL`.
 */
export function attachDeviceProgram(group: number, program: number): void {
  const before = attachedPrograms(group).map((id) => must('BPF_PROG_GET_FD_BY_ID', openProgram(id)))
  try {
    const [only] = before
    const isExchange = before.length === 1 && only !== undefined
    const attributes = attachAttributes(group, program)
    attributes.writeUInt32LE(BPF_F_ALLOW_MULTI | (isExchange ? BPF_F_REPLACE : 0), 12)
    if (isExchange) attributes.writeUInt32LE(only, 16)
    must('BPF_PROG_ATTACH', bpf(BPF_PROG_ATTACH, attributes))
    if (isExchange) return
    for (const old of before) must('BPF_PROG_DETACH', bpf(BPF_PROG_DETACH, attachAttributes(group, old)))
  } finally {
    for (const fd of before) closeSync(fd)
  }
}

/** Ids of the device programs at the group itself, not at those above it. Throws `KERNEL`. */
export function attachedPrograms(group: number): number[] {
  const ids = Buffer.alloc(4 * BPF_CGROUP_MAX_PROGS)
  const attributes = Buffer.alloc(attributeBytes)
  attributes.writeInt32LE(group, 0)
  attributes.writeUInt32LE(BPF_CGROUP_DEVICE, 4)
  attributes.writeBigUInt64LE(koffi.address(ids), 16)
  attributes.writeUInt32LE(BPF_CGROUP_MAX_PROGS, 24)
  must('BPF_PROG_QUERY', bpf(BPF_PROG_QUERY, attributes))
  return Array.from({ length: attributes.readUInt32LE(24) }, (_, at) => ids.readUInt32LE(4 * at))
}

function attachAttributes(group: number, program: number): Buffer {
  const attributes = Buffer.alloc(attributeBytes)
  attributes.writeInt32LE(group, 0)
  attributes.writeInt32LE(program, 4)
  attributes.writeUInt32LE(BPF_CGROUP_DEVICE, 8)
  return attributes
}

function openProgram(id: number): number {
  const attributes = Buffer.alloc(attributeBytes)
  attributes.writeUInt32LE(id, 0)
  return bpf(BPF_PROG_GET_FD_BY_ID, attributes)
}

function bpf(command: number, attributes: Buffer): number {
  const number = syscallNumber('bpf', process.arch === 'arm64' ? 'arm64' : 'x64') ?? -1
  return bpfCall.probe(number, command, attributes, attributes.length)
}

function must(command: string, result: number): number {
  if (result < 0) throw kernelError('bpf', [command], -result)
  return result
}
