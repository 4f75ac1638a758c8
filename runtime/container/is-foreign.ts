import type { ContainerRecord, RuntimeHandler } from '../launcher/protocol.ts'

/** A container that belongs to another runtime. */
export type Owned = ContainerRecord & { handler: RuntimeHandler }

/** True for a container that another runtime has made. */
export function isForeign(record: ContainerRecord | undefined): record is Owned {
  return record?.handler !== undefined
}
