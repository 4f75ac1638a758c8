/**
 * A process that writes and watches, to be killed: 64 writers that make, change and remove keys, with a compaction now
 * and then. What it says, a line each:
 *   ready             the store is open
 *   e REV KEY VALUE   a watcher has heard of it (VALUE `-`: deleted), beginning after the revision that was given
 *   a REV KEY VALUE   a writer has been answered
 */
import { openEmbeddedStore } from '../../../orchestrator/store/embedded/embedded-store.ts'
import type { StoreEvent } from '../../../orchestrator/store/store.ts'

const [path = '', after = '0', compactAfter = ''] = process.argv.slice(2)
const store = await openEmbeddedStore(path)

const say = (text: string) => process.stdout.write(`${text}\n`)
const told = (events: readonly StoreEvent[]) => {
  for (const { type, record } of events)
    say(`e ${record.revision} ${record.key} ${type === 'put' ? record.value : '-'}`)
}
const found = await store.revision()
told(await store.changes('/', Number(after), found))
store.subscribe({ deliver: told, reload: () => Promise.reject(new Error('reload: this store has one server')) })
say('ready')

async function write(writer: number): Promise<never> {
  for (let at = 0; ; at++) {
    const key = `/w/${process.pid}-${writer}-${at}`
    const answered = (revision: number, value: string) => {
      say(`a ${revision} ${key} ${value}`)
      return revision
    }
    let revision = answered(await store.create(key, 'made'), 'made')
    revision = answered(await store.update(key, `changed${at}`, revision), `changed${at}`)
    if (at % 3 === 0) answered(await store.delete(key, revision), '-')
  }
}

if (compactAfter !== '') void store.compact(Number(compactAfter))
await Promise.all(Array.from({ length: 64 }, (_, writer) => write(writer)))
