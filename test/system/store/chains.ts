/**
 * Writers whose every write follows from the one before: a write that was doubled, or lost after its answer, breaks the
 * chain that a watcher sees.
 */
import type { Store, StoreEvent } from '../../../orchestrator/store/store.ts'

export interface Chains {
  /** Writes that were answered. */
  readonly writes: () => number
  /** Lets the writers finish, and says what is wrong; an empty list when all is well. */
  finish(): Promise<string[]>
}

export interface ChainOptions {
  /** Sets their keys apart from those of others. */
  readonly name?: string
  readonly writers?: number
}

/** Starts them on `writing`; `watching` may be another store of the same cluster. */
export function startChains(writing: Store, watching: Store, options: ChainOptions = {}): Chains {
  const { name = 'chains', writers = 16 } = options
  const prefix = `/registry/${name}/`
  const faults: string[] = []
  const seen = new Map<string, string[]>()
  let last = 0
  const watch = ({ type, record }: StoreEvent) => {
    if (record.revision <= last) faults.push(`revision ${record.revision} came after ${last}`)
    last = record.revision
    if (record.key.startsWith(prefix))
      seen.set(record.key, [...(seen.get(record.key) ?? []), type === 'put' ? record.value : 'gone'])
  }
  const end = watching.subscribe({
    deliver: (events) => events.forEach(watch),
    reload: async (revision) => void faults.push(`events up to ${revision} were lost`),
  })
  let isOver = false
  let writes = 0
  const expected = new Map<string, string[]>()
  const write = async (writer: number) => {
    for (let life = 0; !isOver; life++) {
      const key = `${prefix}${writer}-${life}`
      const told: string[] = []
      const answered = (value: string) => {
        told.push(value)
        writes++
      }
      expected.set(key, told)
      let revision = await writing.create(key, '0')
      answered('0')
      for (let at = 1; at <= 20 && !isOver; at++) {
        revision = await writing.update(key, `${at}`, revision)
        answered(`${at}`)
      }
      await writing.delete(key, revision)
      answered('gone')
    }
  }
  const running = Array.from({ length: writers }, (_, writer) =>
    write(writer).catch((error: unknown) => void faults.push(`writer ${writer}: ${error}`)),
  )
  return {
    writes: () => writes,
    async finish() {
      isOver = true
      await Promise.all(running)
      await watching.revision()
      end()
      for (const [key, told] of expected) {
        if (told.join() !== seen.get(key)?.join()) faults.push(`${key}: told ${told.join()}, seen ${seen.get(key)}`)
      }
      const { records } = await writing.range(prefix)
      return [...faults, ...records.map(({ key }) => `${key} is still there`)]
    },
  }
}
