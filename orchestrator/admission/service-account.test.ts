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
  strict: {
    metadata: { name: 'strict', annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true' } },
    secrets: [{ name: 'lent' }],
    imagePullSecrets: [{ name: 'pull' }],
  },
}
const plugin = serviceAccount({
  objects: { get: (_kind, name) => accounts[name] as never, list: () => [] },
  clock: systemClock,
  random: () => 0,
})

const request = {
  verb: 'create' as const,
  kind: podKind as unknown as Kind,
  namespace: 'n',
  name: 'p',
  user: { name: 'u', groups: [] },
  dryRun: false,
  warn: () => {},
}

async function admitted(object: Pod): Promise<Pod> {
  await plugin.mutate?.({ ...request, object })
  await plugin.validate?.({ ...request, object })
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

  it('what all pods get is one and the same, which none of them can change', async () => {
    const [first, second] = [await admitted(aPlainPod()), await admitted(aPlainPod())]
    const files = first.spec?.volumes?.[0]?.projected
    expect(second.spec?.volumes?.[0]?.projected).toBe(files)
    expect(() => Object.assign(files?.sources?.[1]?.configMap ?? {}, { name: 'other' })).toThrow(TypeError)
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
    const envFrom = [{ secretRef: { name: 's' } }]
    await expect(admitted(mirror({ containers: [{ name: 'c', image: 'i', envFrom }] }))).rejects.toThrow(
      'a mirror pod may not reference secrets',
    )
    const projected = { sources: [{ serviceAccountToken: { path: 't' } }] }
    await expect(admitted(mirror({ volumes: [{ name: 'v', projected }] }))).rejects.toThrow(
      'a mirror pod may not use ServiceAccountToken volume projections',
    )
  })

  it('the volume that a copied pod brings is used, not a second one', async () => {
    const volumes = [{ name: 'kube-api-access-old', projected: { sources: [] } }]
    const { spec } = await admitted(aPlainPod({ volumes }))
    expect(spec?.volumes).toEqual(volumes)
    expect(spec?.containers[0]?.volumeMounts).toEqual([{ name: 'kube-api-access-old', readOnly: true, mountPath }])
  })

  describe('an account that is limited to its secrets', () => {
    const serviceAccountName = 'strict'
    const env = (name: string) => [{ name: 'E', valueFrom: { secretKeyRef: { name, key: 'k' } } }]
    const container = (more: object) => ({ name: 'c', image: 'i', ...more })
    const ends = 'is not allowed because service account strict does not reference that secret'

    it('lends those that it names', async () => {
      const volumes = [{ name: 'v', secret: { secretName: 'lent' } }]
      const pod = aPlainPod({ serviceAccountName, volumes, containers: [container({ env: env('lent') })] })
      expect((await admitted(pod)).spec?.imagePullSecrets).toEqual([{ name: 'pull' }])
    })

    it.each([
      [{ volumes: [{ name: 'v', secret: { secretName: 'other' } }] }, `volume with secret.secretName="other" ${ends}`],
      [
        { containers: [container({ env: env('other') })] },
        `container c with envVar E referencing secret.secretName="other" ${ends}`,
      ],
      [
        { initContainers: [container({ envFrom: [{ secretRef: { name: 'other' } }] })] },
        `init container c with envFrom referencing secret.secretName="other" ${ends}`,
      ],
      [
        { imagePullSecrets: [{ name: 'pull' }, { name: 'lent' }] },
        'imagePullSecrets[1].name="lent" is not allowed because service account strict does not reference that imagePullSecret',
      ],
    ])('lends no other: %j', async (spec, message) => {
      await expect(admitted(aPlainPod({ serviceAccountName, ...spec }))).rejects.toThrow(
        `pods "p" is forbidden: ${message}`,
      )
    })

    it('lends none to a container that comes later', () => {
      const object = aPlainPod({ serviceAccountName, ephemeralContainers: [container({ env: env('other') })] })
      const later = { ...request, verb: 'update' as const, subresource: 'ephemeralcontainers', object }
      expect(() => plugin.validate?.(later)).toThrow(
        `ephemeral container c with envVar E referencing secret.secretName="other" ${ends}`,
      )
    })
  })
})
