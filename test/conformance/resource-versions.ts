/**
 * What `resourceVersion` means to get, list and watch, together with everything that may be said beside it: one row a
 * case, with what Kubernetes answers. Sources: https://kubernetes.io/docs/reference/using-api/api-concepts (resource
 * versions), KEP-3157, and where those are silent k8s.io/apiserver/pkg/storage/{etcd3,cacher}.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeToken } from '../../orchestrator/apiserver/verbs/continue-token.ts'
import type { Store } from '../../orchestrator/store/store.ts'
import { anApi } from '../fixtures/api.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const all = 'a b c d'
const added = '+a +b +c +d'

/**
 * A query, the code of its answer, and what is in it: names of a list; of a watch `+a` for ADDED a, `*` for a bookmark,
 * `*end` for the one that ends the initial events, `!410` for an ERROR; of a Status a part of its message. In queries
 * OLD, EXACT, NOW and FUTURE are revisions: compacted away; of a state with a and b alone; newest; not there yet. PAGE
 * and OLDPAGE are tokens for what comes after b now, and after a at OLD.
 */
type Row = readonly [query: string, code: number, what: string]

const tooLarge = 'Too large resource version: '
const tooOld = 'The resourceVersion for the provided list is too old.'
const match = 'resourceVersionMatch'
const exact = `${match}=Exact`
const notOlder = `${match}=NotOlderThan`

const gets: readonly Row[] = [
  ['', 200, 'a'],
  ['resourceVersion=0', 200, 'a'],
  ['resourceVersion=OLD', 200, 'a'],
  ['resourceVersion=EXACT', 200, 'a'],
  ['resourceVersion=NOW', 200, 'a'],
  ['resourceVersion=FUTURE', 504, tooLarge],
  // Where Kubernetes lets an internal error out.
  ['resourceVersion=x', 400, 'Invalid value: "x"'],
]

const lists: readonly Row[] = [
  ['', 200, all],
  ['limit=2', 200, 'a b'],
  ['resourceVersion=0', 200, all],
  ['resourceVersion=0&limit=2', 200, all],
  ['resourceVersion=EXACT', 200, all],
  ['resourceVersion=EXACT&limit=1', 200, 'a'],
  ['resourceVersion=EXACT&limit=3', 200, 'a b'],
  ['resourceVersion=NOW&limit=3', 200, 'a b c'],
  ['resourceVersion=OLD', 200, all],
  ['resourceVersion=OLD&limit=1', 410, tooOld],
  ['resourceVersion=FUTURE', 504, tooLarge],
  ['resourceVersion=FUTURE&limit=1', 504, tooLarge],
  ['resourceVersion=x', 400, 'invalid resource version: resourceVersion: Invalid value: "x"'],
  [`resourceVersion=0&${notOlder}`, 200, all],
  [`resourceVersion=0&${notOlder}&limit=2`, 200, all],
  [`resourceVersion=EXACT&${notOlder}`, 200, all],
  [`resourceVersion=EXACT&${notOlder}&limit=2`, 200, 'a b'],
  [`resourceVersion=OLD&${notOlder}`, 200, all],
  [`resourceVersion=OLD&${notOlder}&limit=2`, 200, 'a b'],
  [`resourceVersion=FUTURE&${notOlder}`, 504, tooLarge],
  [`resourceVersion=EXACT&${exact}`, 200, 'a b'],
  [`resourceVersion=EXACT&${exact}&limit=1`, 200, 'a'],
  [`resourceVersion=NOW&${exact}`, 200, all],
  [`resourceVersion=OLD&${exact}`, 410, tooOld],
  [`resourceVersion=FUTURE&${exact}`, 504, tooLarge],
  [`resourceVersion=0&${exact}`, 422, `${match} "exact" is forbidden for resourceVersion "0"`],
  [exact, 422, `${match} is forbidden unless resourceVersion is provided`],
  [notOlder, 422, `${match} is forbidden unless resourceVersion is provided`],
  [`resourceVersion=EXACT&${match}=Newest`, 422, 'Unsupported value: "Newest"'],
  ['sendInitialEvents=true', 422, 'sendInitialEvents is forbidden for list'],
  ['sendInitialEvents=false', 422, 'sendInitialEvents is forbidden for list'],
  ['allowWatchBookmarks=true', 200, all],
  ['continue=PAGE', 200, 'c d'],
  ['continue=PAGE&limit=1', 200, 'c'],
  ['continue=PAGE&resourceVersion=0', 200, 'c d'],
  ['continue=PAGE&resourceVersion=0&limit=1', 200, 'c'],
  ['continue=PAGE&resourceVersion=EXACT', 400, 'specifying resource version is not allowed when using continue'],
  [`continue=PAGE&resourceVersion=NOW&${exact}`, 422, `${match} is forbidden when continue is provided`],
  ['continue=OLDPAGE', 410, 'or use the continue token in this response'],
  ['continue=OLDPAGE&limit=1', 410, 'or use the continue token in this response'],
  ['continue=FUTUREPAGE', 504, tooLarge],
  ['continue=nonsense', 400, 'continue key is not valid'],
  ['continue=ELSEWHERE', 400, 'continue key is not valid'],
]

const watches: readonly Row[] = [
  ['', 200, added],
  ['allowWatchBookmarks=true', 200, `${added} *end *`],
  ['resourceVersion=0', 200, added],
  ['resourceVersion=0&allowWatchBookmarks=true', 200, `${added} *end *`],
  ['resourceVersion=EXACT', 200, '+c +d'],
  ['resourceVersion=EXACT&allowWatchBookmarks=true', 200, '+c +d *'],
  ['resourceVersion=NOW', 200, ''],
  ['resourceVersion=NOW&allowWatchBookmarks=true', 200, '*'],
  ['resourceVersion=OLD', 200, '!410'],
  ['resourceVersion=FUTURE', 200, ''],
  ['resourceVersion=FUTURE&allowWatchBookmarks=true', 200, ''],
  ['resourceVersion=x', 400, 'Invalid value: "x"'],
  ['limit=1', 200, added],
  [notOlder, 422, `${match} is forbidden for watch unless sendInitialEvents is provided`],
  [`resourceVersion=EXACT&${exact}`, 422, 'Unsupported value: "Exact"'],
  ['sendInitialEvents=true', 422, `sendInitialEvents requires setting ${match} to NotOlderThan`],
  ['sendInitialEvents=false', 422, `sendInitialEvents requires setting ${match} to NotOlderThan`],
  [`sendInitialEvents=true&${exact}`, 422, `sendInitialEvents requires setting ${match} to NotOlderThan`],
  [`sendInitialEvents=true&${notOlder}&continue=PAGE`, 422, `${match} is forbidden when continue is provided`],
  [`sendInitialEvents=true&${notOlder}`, 200, added],
  [`sendInitialEvents=true&${notOlder}&allowWatchBookmarks=true`, 200, `${added} *end *`],
  [`sendInitialEvents=true&${notOlder}&resourceVersion=0&allowWatchBookmarks=true`, 200, `${added} *end *`],
  [`sendInitialEvents=true&${notOlder}&resourceVersion=EXACT&allowWatchBookmarks=true`, 200, `${added} *end *`],
  [`sendInitialEvents=true&${notOlder}&resourceVersion=OLD&allowWatchBookmarks=true`, 200, `${added} *end *`],
  [`sendInitialEvents=true&${notOlder}&resourceVersion=FUTURE`, 200, '!504'],
  [`sendInitialEvents=false&${notOlder}`, 200, ''],
  [`sendInitialEvents=false&${notOlder}&allowWatchBookmarks=true`, 200, '*'],
  [`sendInitialEvents=false&${notOlder}&resourceVersion=0`, 200, ''],
  [`sendInitialEvents=false&${notOlder}&resourceVersion=EXACT`, 200, '+c +d'],
  [`sendInitialEvents=false&${notOlder}&resourceVersion=OLD`, 200, '!410'],
  [`sendInitialEvents=false&${notOlder}&resourceVersion=FUTURE`, 200, ''],
]

interface Moments {
  readonly old: number
  readonly exact: number
}

/** The whole table, on one implementation of a store. It is empty when it comes, may use `folder`, and is closed in the end. */
export function resourceVersionConformance(name: string, open: (folder: string) => Promise<Store>): void {
  // A revision that is not there yet is waited for, three seconds.
  describe(`resourceVersion: ${name}`, { timeout: 20_000 }, () => {
    let api: Awaited<ReturnType<typeof anApi>>
    let moments: Moments
    const folder = mkdtempSync(join(tmpdir(), 'coracle-versions-'))
    beforeAll(async () => {
      const store = await open(folder)
      moments = await aPast(store)
      api = await anApi({ store })
    })
    afterAll(async () => {
      await api.close()
      rmSync(folder, { recursive: true })
    })

    const ask = async (path: string, query: string, method: 'GET' | 'DELETE' = 'GET') => {
      const text = inWords(query, moments, api.registry.broadcaster.revision)
      const url = `${path}${path.includes('?') ? '&' : '?'}${text}`
      const { status, body } = await api.call(method, url, { unread: true })
      return { status, text: String(body), read: () => JSON.parse(String(body)) }
    }

    it.concurrent.each(gets)('get %s: %i %s', async (query, code, what) => {
      const { status, read } = await ask(`${maps}/a`, query)
      expect(status).toBe(code)
      if (code === 200) expect(read().metadata.name).toBe(what)
      else expectFailure(read(), code, what)
    })

    it.concurrent.each(lists)('list %s: %i %s', async (query, code, what) => {
      const { status, text, read } = await ask(maps, query)
      expect(status, text).toBe(code)
      if (code === 200) expect(namesOf(read())).toBe(what)
      else expectFailure(read(), code, what)
    })

    it.concurrent.each(watches)('watch %s: %i %s', async (query, code, what) => {
      const { status, text, read } = await ask(`${maps}?watch=1&timeoutSeconds=1`, query)
      expect(status, text).toBe(code)
      if (code === 200) expect(eventsOf(text)).toBe(what)
      else expectFailure(read(), code, what)
    })

    it('a page says what it is of, and how much there is after it', async () => {
      const first = (await ask(maps, 'limit=1')).read()
      expect(first.metadata).toEqual({
        resourceVersion: String(api.registry.broadcaster.revision),
        continue: expect.any(String),
        remainingItemCount: 3,
      })
      const second = (await ask(maps, `limit=1&continue=${first.metadata.continue}`)).read()
      expect(second.metadata).toMatchObject({
        resourceVersion: first.metadata.resourceVersion,
        remainingItemCount: 2,
      })
      const past = (await ask(maps, 'resourceVersion=EXACT&limit=1')).read()
      expect(past.metadata).toMatchObject({ resourceVersion: String(moments.exact), remainingItemCount: 1 })
      const chosen = (await ask(maps, 'resourceVersion=EXACT&limit=1&fieldSelector=metadata.name!=zzz')).read()
      expect(chosen.metadata.remainingItemCount).toBeUndefined()
      const rest = (await ask(maps, `continue=${past.metadata.continue}`)).read()
      expect([namesOf(rest), rest.metadata.resourceVersion]).toEqual(['b', String(moments.exact)])
    })

    it('whose state is gone goes on with what is there now, if he wants to', async () => {
      const gone = (await ask(maps, 'continue=OLDPAGE&limit=1')).read()
      expect(gone).toMatchObject({ code: 410, reason: 'Expired', metadata: { continue: expect.any(String) } })
      const rest = (await ask(maps, `limit=2&continue=${gone.metadata.continue}`)).read()
      expect([namesOf(rest), rest.metadata.resourceVersion]).toEqual(['b c', String(api.registry.broadcaster.revision)])
      expect(namesOf((await ask(maps, `continue=${rest.metadata.continue}`)).read())).toBe('d')
      // Whoever was not on his way has nowhere to go on from.
      expect((await ask(maps, 'resourceVersion=OLD&limit=1')).read().metadata).toEqual({})
    })

    it('too large: a cause that clients know, and when to come again', async () => {
      expect((await ask(maps, 'resourceVersion=FUTURE')).read()).toMatchObject({
        reason: 'Timeout',
        message: expect.stringMatching(/^Timeout: Too large resource version: \d+, current: \d+$/),
        details: {
          causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
          retryAfterSeconds: 1,
        },
      })
    })

    it('a watch from what is to come tells only what comes then', async () => {
      const { revision } = api.registry.broadcaster
      const watched = ask(
        `${maps}?watch=1&timeoutSeconds=2&allowWatchBookmarks=true`,
        `resourceVersion=${revision + 1}`,
      )
      await new Promise((resolve) => setTimeout(resolve, 300))
      for (const name of ['skipped', 'told']) await api.call('POST', maps, { body: { metadata: { name } } })
      expect(eventsOf((await watched).text)).toBe('+told *')
      for (const name of ['skipped', 'told']) await api.call('DELETE', `${maps}/${name}`)
    })

    it('a deletion of many is asked as a list is', async () => {
      const { status, read } = await ask(maps, exact, 'DELETE')
      expect(status).toBe(422)
      expectFailure(read(), 422, `${match} is forbidden unless resourceVersion is provided`)
      expect(namesOf((await ask(maps, '')).read())).toBe(all)
    })
  })
}

/** Four maps, and the past of the first one forgotten. */
async function aPast(store: Store): Promise<Moments> {
  const create = (name: string) => {
    const metadata = { name, namespace: 'default', uid: name, creationTimestamp: '2026-01-01T00:00:00Z' }
    const value = JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata })
    return store.create(`/registry/configmaps/default/${name}`, value)
  }
  const old = await create('a')
  const exactly = await create('b')
  await store.compact(exactly)
  await create('c')
  await create('d')
  return { old, exact: exactly }
}

function inWords(query: string, { old, exact: exactly }: Moments, now: number): string {
  const future = 1_000_000_000
  const words: Readonly<Record<string, string | number>> = {
    OLD: old,
    EXACT: exactly,
    NOW: now,
    FUTURE: future,
    PAGE: writeToken({ revision: now, after: 'default/b' }),
    OLDPAGE: writeToken({ revision: old, after: 'default/a' }),
    FUTUREPAGE: writeToken({ revision: future, after: 'default/b' }),
    ELSEWHERE: writeToken({ revision: now, after: 'other/b' }),
  }
  return query.replace(/=([A-Z]+)\b/g, (whole, word: string) => (word in words ? `=${words[word]}` : whole))
}

const namesOf = ({ items }: { items: { metadata: { name: string } }[] }) =>
  items.map(({ metadata }) => metadata.name).join(' ')

const signs: Readonly<Record<string, string>> = { ADDED: '+', MODIFIED: '~', DELETED: '-' }

function eventsOf(text: string): string {
  const events = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
  const words = events.map(({ type, object }) => {
    if (type === 'ERROR') return `!${object.code}`
    if (type !== 'BOOKMARK') return `${signs[type]}${object.metadata.name}`
    return object.metadata.annotations?.['k8s.io/initial-events-end'] === 'true' ? '*end' : '*'
  })
  return words.join(' ')
}

const reasons: Readonly<Record<number, string>> = { 400: 'BadRequest', 410: 'Expired', 422: 'Invalid', 504: 'Timeout' }

function expectFailure(status: { kind: string; reason: string; message: string }, code: number, message: string): void {
  expect([status.kind, status.reason]).toEqual(['Status', reasons[code]])
  expect(status.message).toContain(message)
}
