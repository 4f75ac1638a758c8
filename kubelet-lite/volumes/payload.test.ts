import { describe, expect, it } from 'vitest'
import type { Pod } from '../../orchestrator/api/types.ts'
import { payloadOf } from './payload.ts'

const volume = { name: 'v', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }
const node = { name: 'node', ip: '192.0.2.1', cpus: 1, memoryBytes: 1 }
const reader = { configMap: async () => undefined, secret: async () => undefined }

/** The token's file in a pod whose containers and itself have these settings. */
async function tokenFile(ofPod: object, ...ofContainers: object[]) {
  const containers = ofContainers.map((securityContext, at) => ({ name: `c${at}`, securityContext }))
  const pod = {
    metadata: { name: 'p', namespace: 'n' },
    spec: { securityContext: ofPod, containers },
  } as unknown as Pod
  const input = { root: '/nowhere', pod, reader, node, tokens: async () => 'secret' }
  return (await payloadOf(input, volume, 'projected')).get('token')
}
const bytes = Buffer.from('secret')

describe('payloadOf: the token of a service account', () => {
  it('is for everybody in the container where nothing says who runs there', async () => {
    expect(await tokenFile({}, {})).toEqual({ bytes, mode: 0o644 })
    expect(await tokenFile({}, { runAsUser: 1000 }, {})).toEqual({ bytes, mode: 0o644 })
    expect(await tokenFile({ runAsUser: 1000 }, {}, { runAsUser: 1001 })).toEqual({ bytes, mode: 0o644 })
  })
  it('is for the one user alone as whom all containers run', async () => {
    expect(await tokenFile({ runAsUser: 1000 }, {}, {})).toEqual({ bytes, mode: 0o600, owner: 1000 })
    expect(await tokenFile({ runAsUser: 1 }, { runAsUser: 1000 })).toEqual({ bytes, mode: 0o600, owner: 1000 })
  })
  it('is for the group that shares the volumes, and nobody else', async () => {
    expect(await tokenFile({ fsGroup: 2000 }, {})).toEqual({ bytes, mode: 0o600 })
  })
})
