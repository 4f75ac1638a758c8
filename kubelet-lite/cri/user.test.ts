import { describe, expect, it } from 'vitest'
import type { SecurityContext } from './types.ts'
import { resolveUser } from './user.ts'

const files: Readonly<Record<string, string>> = {
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:,,,:/home/web:/bin/sh\nbad:x:12abc:0::/:/bin/sh\n',
  '/etc/group': 'root:x:0:\nweb:x:1001:\naudio:x:29:web,other\n',
}
const security = (change: Partial<SecurityContext> = {}): SecurityContext => ({
  runAsNonRoot: false,
  supplementalGroups: [],
  privileged: false,
  readOnlyRootFilesystem: false,
  allowPrivilegeEscalation: true,
  addCapabilities: [],
  dropCapabilities: [],
  seccomp: 'RuntimeDefault',
  maskProc: true,
  ...change,
})
const resolve = (image: string, change: Partial<SecurityContext> = {}) =>
  resolveUser(image, security(change), async (path) => files[path])
const failure = async (...args: Parameters<typeof resolve>) =>
  resolve(...args).then(
    () => 'no error',
    (error: Error) => error.message,
  )

describe('resolveUser', () => {
  it("nobody named: root, with root's home", async () => {
    expect(await resolve('')).toEqual({ uid: 0, gid: 0, additionalGids: [], home: '/root' })
  })
  it('by name: with its groups', async () => {
    expect(await resolve('web')).toEqual({ uid: 1000, gid: 1001, additionalGids: [29], home: '/home/web' })
  })
  it('by number, known or not, and with a group', async () => {
    expect(await resolve('1000')).toMatchObject({ uid: 1000, gid: 1001 })
    expect(await resolve('4242:audio')).toEqual({ uid: 4242, gid: 29, additionalGids: [], home: '/' })
  })
  it("the pod's settings win", async () => {
    const found = await resolve('web', { runAsUser: 0, runAsGroup: 7, supplementalGroups: [8] })
    expect(found).toEqual({ uid: 0, gid: 7, additionalGids: [8], home: '/root' })
  })
  it('a line whose uid is not a number is no account (CVE-2026-30892)', async () => {
    expect(await failure('bad')).toBe('unable to find user bad: no matching entries in passwd file')
    expect(await failure('12abc')).toMatch(/unable to find user 12abc/)
  })
  it('runAsNonRoot: refuses root, and a name that it cannot check', async () => {
    expect(await failure('', { runAsNonRoot: true })).toBe('container has runAsNonRoot and image will run as root')
    expect(await failure('0', { runAsNonRoot: true })).toBe('container has runAsNonRoot and image will run as root')
    expect(await failure('web', { runAsNonRoot: true })).toMatch(/image has non-numeric user \(web\)/)
    expect(await failure('', { runAsNonRoot: true, runAsUser: 0 })).toBe("container's runAsUser breaks non-root policy")
    expect(await resolve('', { runAsNonRoot: true, runAsUser: 5 })).toMatchObject({ uid: 5 })
  })
})
