import { describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { aPlainPod } from '../../test/fixtures/namespace.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { podKind } from '../api/kinds/pod.ts'
import type { Pod, ServiceAccount } from '../api/types.ts'
import { serviceAccount } from './service-account.ts'

const accounts: Record<string, ServiceAccount> = {
  default: {},
  puller: { imagePullSecrets: [{ name: 'mine' }], automountServiceAccountToken: false },
}
const plugin = serviceAccount({
  objects: { get: (_kind, name) => accounts[name] as never, list: () => [] },
  clock: systemClock,
  random: () => 0,
})

async function admitted(object: Pod): Promise<Pod> {
  const user = { name: 'u', groups: [] }
  const kind = podKind as unknown as Kind
  await plugin.mutate?.({
    verb: 'create',
    kind,
    namespace: 'n',
    name: 'p',
    object,
    user,
    dryRun: false,
    warn: () => {},
  })
  return object
}

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount'

describe('serviceAccount', () => {
  it('a pod gets the default account and its files', async () => {
    const { spec } = await admitted(aPlainPod())
    expect(spec).toMatchObject({ serviceAccountName: 'default', serviceAccount: 'default' })
    expect(spec?.containers[0]?.volumeMounts).toEqual([{ name: 'kube-api-access-bbbbb', readOnly: true, mountPath }])
    expect(spec?.volumes).toEqual([
      {
        name: 'kube-api-access-bbbbb',
        projected: {
          defaultMode: 420,
          sources: [
            { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
            { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
            {
              downwardAPI: {
                items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
              },
            },
          ],
        },
      },
    ])
  })

  it('the account says whether there is a token, the pod has the last word; pull secrets come along', async () => {
    const quiet = await admitted(aPlainPod({ serviceAccountName: 'puller' }))
    expect(quiet.spec?.volumes).toBeUndefined()
    expect(quiet.spec?.imagePullSecrets).toEqual([{ name: 'mine' }])
    const loud = await admitted(aPlainPod({ serviceAccountName: 'puller', automountServiceAccountToken: true }))
    expect(loud.spec?.volumes).toHaveLength(1)
  })

  it('a container that mounts something there keeps it', async () => {
    const volumeMounts = [{ name: 'own', mountPath }]
    const { spec } = await admitted(aPlainPod({ containers: [{ name: 'c', image: 'i', volumeMounts }] }))
    expect(spec?.containers[0]?.volumeMounts).toEqual(volumeMounts)
    expect(spec?.volumes).toBeUndefined()
  })

  it('an account that is missing is refused', async () => {
    await expect(admitted(aPlainPod({ serviceAccountName: 'none' }))).rejects.toThrow(
      'pods "p" is forbidden: error looking up service account n/none: serviceaccount "none" not found',
    )
  })

  it('a mirror pod has nothing of the API', async () => {
    const mirror = (spec = {}) => ({
      ...aPlainPod(spec),
      metadata: { name: 'p', annotations: { 'kubernetes.io/config.mirror': 'x' } },
    })
    expect((await admitted(mirror())).spec?.serviceAccountName).toBeUndefined()
    await expect(admitted(mirror({ serviceAccountName: 'default' }))).rejects.toThrow(
      'a mirror pod may not reference service accounts',
    )
  })
})
