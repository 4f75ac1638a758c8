import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it } from 'vitest'
import { storeConformance } from '../../../test/conformance/store.ts'
import { openEmbeddedStore } from './embedded-store.ts'

const freshFolder = () => mkdtempSync(join(tmpdir(), 'coracle-store-'))

storeConformance('embedded', () => {
  const folder = freshFolder()
  return {
    open: () => openEmbeddedStore(join(folder, 'store.db')),
    dispose: () => rmSync(folder, { recursive: true }),
  }
})

/** 16 writers that report every acknowledged key with its revision. */
const writer = (path: string) => `
import { openEmbeddedStore } from ${JSON.stringify(new URL('./embedded-store.ts', import.meta.url).href)}
const store = await openEmbeddedStore(${JSON.stringify(path)})
for (let worker = 0; worker < 16; worker++) void (async () => {
  for (let at = 0; ; at++) {
    const key = '/a/' + process.pid + '-' + worker + '-' + at
    process.stdout.write(key + ' ' + (await store.create(key, key)) + '\\n')
  }
})()
`

/** Lines of the child until it was killed after so many. */
async function linesUntilKilled(child: ChildProcess, count: number): Promise<string[]> {
  const lines: string[] = []
  if (!child.stdout) throw new Error('start the writer: it has no output')
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line)
    if (lines.length === count) child.kill('SIGKILL')
  }
  return lines
}

describe('embedded-store', () => {
  it('kill -9: no acknowledged write is lost, no revision is given out twice', { timeout: 60_000 }, async () => {
    const folder = freshFolder()
    const path = join(folder, 'store.db')
    const script = join(folder, 'writer.mts')
    writeFileSync(script, writer(path))
    const acknowledged = new Map<string, number>()
    for (const count of [1, 40, 333, 1000]) {
      const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
      for (const line of await linesUntilKilled(child, count)) {
        const [key = '', revision = ''] = line.split(' ')
        // The last line may have been cut off by the kill.
        if (/^\d+$/.test(revision)) acknowledged.set(key, Number(revision))
      }
      const store = await openEmbeddedStore(path)
      expect(await store.check()).toEqual([])
      const found = new Map((await store.range('/a/')).records.map(({ key, revision }) => [key, revision]))
      const lost = [...acknowledged].filter(([key, revision]) => found.get(key) !== revision)
      expect(lost).toEqual([])
      expect(new Set(found.values()).size).toBe(found.size)
      await store.close()
    }
    expect(acknowledged.size).toBeGreaterThan(1000)
    rmSync(folder, { recursive: true })
  })

  it('open: refuses a store that another one has', async () => {
    const folder = freshFolder()
    const path = join(folder, 'store.db')
    const store = await openEmbeddedStore(path)
    await expect(openEmbeddedStore(path)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await store.close()
    await (await openEmbeddedStore(path)).close()
    rmSync(folder, { recursive: true })
  })

  it('close: what was begun is finished, what comes later is refused', async () => {
    const folder = freshFolder()
    const store = await openEmbeddedStore(join(folder, 'store.db'))
    const begun = store.create('/a/1', 'x')
    await store.close()
    await expect(begun).resolves.toBe(1)
    await expect(store.create('/a/2', 'x')).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    rmSync(folder, { recursive: true })
  })
})
