import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { readAdmissionConfig } from './admission-config.ts'

describe('readAdmissionConfig', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-admission-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const write = (name: string, value: unknown) => {
    writeFileSync(join(folder, name), stringify(value))
    return join(folder, name)
  }
  const podSecurity = (more: object) => ({
    apiVersion: 'pod-security.admission.config.k8s.io/v1',
    kind: 'PodSecurityConfiguration',
    ...more,
  })
  const config = (...plugins: object[]) =>
    write('config.yaml', { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AdmissionConfiguration', plugins })
  const privileged = { level: 'privileged', version: 'latest' }
  const nothing = { enforce: privileged, audit: privileged, warn: privileged }
  const plugin = (more: object) => ({ name: 'PodSecurity', configuration: podSecurity(more) })

  it('whom PodSecurity exempts, here or in a file beside', () => {
    const exemptions = { usernames: ['u'], namespaces: ['n'], runtimeClasses: ['r'] }
    const defaults = { enforce: 'privileged', 'enforce-version': 'latest' }
    const expected = { podSecurityConfig: { exemptions, defaults: nothing } }
    expect(readAdmissionConfig(config(plugin({ defaults, exemptions })))).toEqual(expected)
    write('other.yaml', podSecurity({ exemptions }))
    expect(readAdmissionConfig(config({ name: 'PodSecurity', path: 'other.yaml' }))).toEqual(expected)
    expect(readAdmissionConfig(config())).toEqual({})
  })

  it('what PodSecurity holds namespaces to that say nothing', () => {
    const defaults = { enforce: 'baseline', 'enforce-version': 'v1.30', warn: 'restricted' }
    const { podSecurityConfig } = readAdmissionConfig(config(plugin({ defaults })))
    expect(podSecurityConfig?.defaults).toEqual({
      enforce: { level: 'baseline', version: 30 },
      audit: nothing.audit,
      warn: { level: 'restricted', version: 'latest' },
    })
  })

  it.each<[string, object[]]>([
    ['plugins[0].name: EventRateLimit cannot be configured', [{ name: 'EventRateLimit' }]],
    ['defaults.enforce: "strict" is not one of privileged', [plugin({ defaults: { enforce: 'strict' } })]],
    ['defaults.warn-version: "1.30" is not "latest" or', [plugin({ defaults: { 'warn-version': '1.30' } })]],
    ['defaults: unknown field "deny"', [plugin({ defaults: { deny: 'baseline' } })]],
    ['exemptions: unknown field "users"', [plugin({ exemptions: { users: ['u'] } })]],
    ['exemptions.namespaces[0]: not a name', [plugin({ exemptions: { namespaces: [''] } })]],
    ['plugins: more than PodSecurity', [plugin({}), plugin({})]],
  ])('refuses: %s', (message, plugins) => {
    expect(() => readAdmissionConfig(config(...plugins))).toThrowError(
      expect.objectContaining({ code: 'BAD_FLAG', message: expect.stringContaining(message) }),
    )
  })

  it('refuses a file that is not there', () => {
    expect(() => readAdmissionConfig('/nowhere')).toThrowError(expect.objectContaining({ code: 'BAD_FLAG' }))
  })
})
