import { expect, it } from 'vitest'
import { aNamespace } from '../../test/fixtures/namespace.ts'

const claim = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
})

it('defaultStorageClass: a claim that names none gets the default one', async () => {
  const { make, close } = await aNamespace()
  const classOf = async (name: string, spec?: object) =>
    (await make('persistentvolumeclaims', claim(name, spec))).body.spec.storageClassName
  expect(await classOf('early')).toBeUndefined()
  const mark = { 'storageclass.kubernetes.io/is-default-class': 'true' }
  const at = '/apis/storage.k8s.io/v1/storageclasses'
  await make(at, { metadata: { name: 'other' }, provisioner: 'x' })
  await make(at, { metadata: { name: 'usual', annotations: mark }, provisioner: 'x' })
  expect(await classOf('late')).toBe('usual')
  expect(await classOf('own', { storageClassName: 'other' })).toBe('other')
  expect(await classOf('none', { storageClassName: '' })).toBe('')
  await close()
})

it('storageObjectInUseProtection: a claim has its finalizer', async () => {
  const { make, close } = await aNamespace()
  const { body } = await make('persistentvolumeclaims', claim('c'))
  expect(body.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection'])
  await close()
})
