import { messageOf } from '../../../runtime/base/errors.ts'
import type { EtcdClient } from './client.ts'

/** What is wrong with a cluster: alarms, members that do not answer, members that hold something else than the others. */
export async function checkEtcd(client: EtcdClient): Promise<readonly string[]> {
  const { alarms } = await client.call('Maintenance.Alarm', { action: 'GET' })
  return [...alarms.map(({ alarm }) => `etcd has raised the alarm ${alarm}`), ...(await differences(client))]
}

/** Hashes are comparable at one revision, with one compacted past: while that moves, nothing can be said. */
async function differences(client: EtcdClient): Promise<string[]> {
  const { header, compact_revision } = await client.call('Maintenance.HashKV', { revision: 0 })
  if (compact_revision >= header.revision) return []
  const members = Array.from({ length: client.memberCount }, (_, member) => member)
  const hashes = await Promise.allSettled(
    members.map((member) => client.call('Maintenance.HashKV', { revision: header.revision }, member)),
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
