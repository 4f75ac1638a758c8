import { describe, expect, it } from 'vitest'
import { type AuthFlags, authOptions } from './auth-flags.ts'

const flags: AuthFlags = { anonymousAuth: 'true', auditLogMaxsize: '100', auditLogMaxbackup: '10' }

describe('authOptions', () => {
  it('nothing given: health for everybody, no audit log', () => {
    expect(authOptions(flags)).toEqual({ anonymousAuth: true })
  })

  it('says what was given in the words of the server', () => {
    const given = {
      serviceAccountIssuer: 'https://x.y',
      apiAudiences: 'a,b',
      anonymousAuth: 'false',
      enableAdmissionPlugins: 'NodeRestriction',
      disableAdmissionPlugins: 'ServiceAccount,PodSecurity',
      auditLogPath: '/l',
    }
    expect(authOptions({ ...flags, ...given, auditLogMaxsize: '2', auditLogMaxbackup: '0' })).toEqual({
      serviceAccountIssuer: 'https://x.y',
      apiAudiences: ['a', 'b'],
      anonymousAuth: false,
      disabledAdmissionPlugins: ['ServiceAccount', 'PodSecurity'],
      audit: { path: '/l', largestBytes: 2 * 1024 * 1024, backups: 0 },
    })
  })

  it.each([
    { serviceAccountIssuer: 'http://x' },
    { serviceAccountIssuer: 'x' },
    { anonymousAuth: 'yes' },
    { enableAdmissionPlugins: 'AlwaysDeny' },
    { disableAdmissionPlugins: 'serviceaccount' },
    { enableAdmissionPlugins: 'Priority', disableAdmissionPlugins: 'Priority' },
    { auditLogMaxsize: '0' },
    { auditLogMaxbackup: '-1' },
  ])('refuses %j', (wrong) => {
    expect(() => authOptions({ ...flags, ...wrong })).toThrowError(expect.objectContaining({ code: 'BAD_FLAG' }))
  })
})
