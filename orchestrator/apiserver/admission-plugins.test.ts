import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { openEmbeddedStore } from '../store/embedded/embedded-store.ts'
import type { Store } from '../store/store.ts'
import { type AdmissionPluginName, admissionPluginNames } from './admission-plugins.ts'
import { createRegistry } from './server.ts'

const folder = mkdtempSync(join(tmpdir(), 'coracle-plugins-'))
let store: Store
beforeAll(async () => {
  store = await openEmbeddedStore(join(folder, 'store.db'))
})
afterAll(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

async function chain(disabledAdmissionPlugins?: readonly AdmissionPluginName[]): Promise<string[]> {
  const registry = await createRegistry(store, {
    clock: systemClock,
    serviceCidr: '10.96.0.0/16',
    disabledAdmissionPlugins,
  })
  registry.broadcaster.close()
  return registry.admission.map(({ name }) => name)
}

describe('admissionPlugins', () => {
  it('all that can be named are there unless disabled', async () => {
    expect(await chain()).toEqual(expect.arrayContaining([...admissionPluginNames]))
    expect(await chain(['ServiceAccount'])).toEqual((await chain()).filter((name) => name !== 'ServiceAccount'))
  })

  it('what a kind cannot do without stays', async () => {
    expect(await chain(admissionPluginNames)).toEqual(['ServiceAddresses', 'RBACEscalation'])
  })
})
