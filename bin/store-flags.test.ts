import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { storeChoice } from './store-flags.ts'

describe('storeChoice', () => {
  it('etcd: a scheme holds for the endpoints that follow', () => {
    expect(storeChoice({ store: 'etcd=http://a:2379,b:2380,[::1]:2379' })).toEqual({
      kind: 'etcd',
      endpoints: ['http://a:2379', 'http://b:2380', 'http://[::1]:2379'],
    })
    expect(storeChoice({ store: 'embedded' })).toEqual({ kind: 'embedded' })
  })

  it('etcd: reads certificates and the password, whose last line break is none of it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-flags-'))
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    }
    const choice = storeChoice({
      store: 'etcd=https://a:2379',
      etcdCafile: file('ca', 'CA'),
      etcdCertfile: file('cert', 'CERT'),
      etcdKeyfile: file('key', 'KEY'),
      etcdUser: 'coracle',
      etcdPasswordFile: file('password', 'a secret\n'),
    })
    expect(choice).toEqual({
      kind: 'etcd',
      endpoints: ['https://a:2379'],
      tls: { ca: Buffer.from('CA'), cert: Buffer.from('CERT'), key: Buffer.from('KEY') },
      user: { name: 'coracle', password: 'a secret' },
    })
    rmSync(folder, { recursive: true })
  })

  it.each([
    [{ store: 'sqlite' }, 'neither'],
    [{ store: 'etcd=' }, 'neither'],
    [{ store: 'etcd=a:2379' }, 'neither'],
    [{ store: 'etcd=https://a' }, 'neither'],
    [{ store: 'etcd=https://a:1,http://b:1' }, 'neither'],
    [{ store: 'embedded', etcdUser: 'x' }, '--etcd-user'],
    [{ store: 'etcd=http://a:1', etcdCafile: import.meta.filename }, 'http'],
    [{ store: 'etcd=https://a:1', etcdCertfile: import.meta.filename }, '--etcd-keyfile'],
    [{ store: 'etcd=https://a:1', etcdUser: 'x' }, '--etcd-password-file'],
    [{ store: 'etcd=https://a:1', etcdCafile: '/nowhere/ca' }, '--etcd-cafile /nowhere/ca'],
  ])('refuses %o', (flags, reason) => {
    expect(() => storeChoice(flags)).toThrow(reason)
  })
})
