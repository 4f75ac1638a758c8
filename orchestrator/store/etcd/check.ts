import { status } from '@grpc/grpc-js'
import type { Clock } from '../../../runtime/base/clock.ts'
import { messageOf } from '../../../runtime/base/errors.ts'
import { codeOf, type EtcdClient } from './client.ts'
import { Patience } from './patience.ts'

/** What is wrong with a cluster: alarms, members that do not answer, members that hold something else than the others. */
export async function checkEtcd(client: EtcdClient, clock: Clock): Promise<readonly string[]> {
  const { alarms } = await client.call('Maintenance.Alarm', { action: 'GET' })
  return [...alarms.map(({ alarm }) => `etcd has raised the alarm ${alarm}`), ...(await differences(client, clock))]
}

/** Hashes are comparable at one revision, with one compacted past: while that moves, nothing can be said. */
async function differences(client: EtcdClient, clock: Clock): Promise<string[]> {
  const { header, compact_revision } = await client.call('Maintenance.HashKV', { revision: 0 })
  if (compact_revision >= header.revision) return []
  const members = Array.from({ length: client.memberCount }, (_, member) => member)
  const hashes = await Promise.allSettled(
    members.map((member) => hashOf(client, clock, { revision: header.revision, member })),
  )
  const faults: string[] = []
  const byPast = new Map<number, number>()
  hashes.forEach((hash, member) => {
    if (hash.status === 'rejected') faults.push(`member ${member + 1} does not answer: ${messageOf(hash.reason)}`)
    else if ((byPast.get(hash.value.compact_revision) ?? hash.value.hash) !== hash.value.hash) {
      faults.push(`member ${member + 1} differs from the others at revision ${header.revision}`)
    } else byPast.set(hash.value.compact_revision, hash.value.hash)
  })
  return faults
}

/** A member that has just come back is behind for a moment: it is given the time to hear of that revision. */
async function hashOf(client: EtcdClient, clock: Clock, { revision, member }: { revision: number; member: number }) {
  const patience = new Patience(clock)
  for (;;) {
    try {
      return await client.call('Maintenance.HashKV', { revision }, member)
    } catch (error) {
      if (codeOf(error) !== status.OUT_OF_RANGE || patience.isOver) throw error
      await patience.pause()
    }
  }
}
