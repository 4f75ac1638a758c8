import type { Store } from '../store/store.ts'
import type { ServerMetrics } from './metrics.ts'

/** A store that tells how long its answers take. */
export function measuredStore(store: Store, metrics: ServerMetrics): Store {
  const timed = async <T>(operation: string, key: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now()
    try {
      return await work()
    } finally {
      metrics.storeAnswered(operation, typeOf(key), (performance.now() - start) / 1000)
    }
  }
  return {
    get failure() {
      return store.failure
    },
    create: (key, value, options) => timed('create', key, () => store.create(key, value, options)),
    update: (key, value, expected, options) => timed('update', key, () => store.update(key, value, expected, options)),
    delete: (key, expected) => timed('delete', key, () => store.delete(key, expected)),
    revision: () => timed('revision', '', () => store.revision()),
    range: (prefix, options) => timed('list', prefix, () => store.range(prefix, options)),
    changes: (prefix, after, upTo) => timed('changes', prefix, () => store.changes(prefix, after, upTo)),
    subscribe: (subscriber) => store.subscribe(subscriber),
    compact: (revision) => timed('compact', '', () => store.compact(revision)),
    check: () => store.check(),
    close: () => store.close(),
  }
}

/** `/registry/pods/default/a` is of `pods`. */
const typeOf = (key: string) => key.split('/')[2] ?? ''
