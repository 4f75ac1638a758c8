import type { Store } from '../store/store.ts'
import type { ServerMetrics } from './metrics.ts'

/** A store that tells how long its answers take. */
export function measuredStore(store: Store, metrics: ServerMetrics): Store {
  const timed = <T>(operation: string, { key, start }: { key: string; start: number }, work: Promise<T>) => {
    const answered = () => metrics.storeAnswered(operation, typeOf(key), (performance.now() - start) / 1000)
    work.then(answered, answered)
    return work
  }
  const from = (key: string) => ({ key, start: performance.now() })
  return {
    get failure() {
      return store.failure
    },
    create: (key, value, options) => timed('create', from(key), store.create(key, value, options)),
    update: (key, value, expected, options) => timed('update', from(key), store.update(key, value, expected, options)),
    delete: (key, expected) => timed('delete', from(key), store.delete(key, expected)),
    revision() {
      const asked = store.revision()
      // What is known without asking is no request.
      return typeof asked === 'number' ? asked : timed('revision', from(''), asked)
    },
    range: (prefix, options) => timed('list', from(prefix), store.range(prefix, options)),
    changes: (prefix, after, upTo) => timed('changes', from(prefix), store.changes(prefix, after, upTo)),
    subscribe: (subscriber) => store.subscribe(subscriber),
    compact: (revision) => timed('compact', from(''), store.compact(revision)),
    check: () => store.check(),
    close: () => store.close(),
  }
}

/** `/registry/pods/default/a` is of `pods`. */
function typeOf(key: string): string {
  const start = key.indexOf('/', 1) + 1
  const end = key.indexOf('/', start)
  return key.slice(start, end < 0 ? undefined : end)
}
