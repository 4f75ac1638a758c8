import { closeSync } from 'node:fs'
import { messageOf } from '../base/errors.ts'
import type { ContainerRecord } from '../launcher/protocol.ts'
import { sendDescriptors } from '../linux/pass-descriptors.ts'
import { descriptorOf, pidfdOpen } from '../linux/process.ts'
import type { OciSpec } from '../spec/types.ts'
import { containerError } from './errors.ts'

/**
 * Sends the listener of a filter with SCMP_ACT_NOTIFY to the agent at `linux.seccomp.listenerPath`: a connection, on it one
 * container process state with the descriptor `seccompFd`, and its end (config-linux.md, "The Container Process State").
 * `listener` is the descriptor's number in the process `pid`, which waits. Throws AGENT_FAILED.
 */
export async function tellAgent(birth: {
  record: Pick<ContainerRecord, 'id' | 'bundle' | 'annotations'>
  spec: OciSpec
  pid: number
  listener: number
}): Promise<void> {
  const { record, spec, pid, listener } = birth
  const { id, bundle = '', annotations } = record
  const { listenerPath = '', listenerMetadata } = spec.linux?.seccomp ?? {}
  const state = { ociVersion: '1.3.0', id, status: 'creating', pid, bundle, annotations }
  const metadata = listenerMetadata === undefined ? {} : { metadata: listenerMetadata }
  const processState = { ociVersion: '1.3.0', fds: ['seccompFd'], pid, ...metadata, state }
  const pidfd = pidfdOpen(pid)
  let descriptor: number | undefined
  try {
    descriptor = descriptorOf(pidfd, listener)
    await sendDescriptors(listenerPath, Buffer.from(JSON.stringify(processState)), [descriptor])
  } catch (error) {
    const message = `tell the seccomp agent of ${id} at ${listenerPath}: ${messageOf(error)}`
    throw containerError('AGENT_FAILED', message, { id, listenerPath }, error)
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
    closeSync(pidfd)
  }
}
