import { describe, expect, it } from 'vitest'
import { aNamespace, aPlainPod } from '../../../test/fixtures/namespace.ts'
import { violationsOf, violationsText } from './evaluate.ts'
import { policyOf, standardText, usualPolicy } from './policy.ts'

const hardened = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
}
const container = (securityContext: object = {}, rest: object = {}) => ({
  containers: [{ name: 'c', image: 'i', ...rest, securityContext: { ...hardened, ...securityContext } }],
})
const label = (mode: string) => `pod-security.kubernetes.io/${mode}`
const standard = (label: string) => policyOf({ 'pod-security.kubernetes.io/enforce': label }).enforce

/** What is wrong with a pod, all but one thing of which is as the restricted standard wants it. */
const textOf = (level: string, spec: object, annotations = {}) =>
  violationsText(violationsOf(standard(level), { annotations }, { ...container(), ...spec }))

describe('violationsOf', () => {
  it.each([
    [
      'capabilities_baseline',
      container({ capabilities: { add: ['NET_RAW'] } }),
      'non-default capabilities (container "c" must not include "NET_RAW" in securityContext.capabilities.add)',
    ],
    ['hostNamespaces', { hostNetwork: true, hostPID: true }, 'host namespaces (hostNetwork=true, hostPID=true)'],
    ['hostPathVolumes', { volumes: [{ name: 'v', hostPath: { path: '/' } }] }, 'hostPath volumes (volume "v")'],
    ['hostPorts', container({}, { ports: [{ hostPort: 80 }] }), 'hostPort (container "c" uses hostPort 80)'],
    [
      'hostProbesAndHostLifecycle',
      container({}, { livenessProbe: { httpGet: { host: 'h' } } }),
      'probe or lifecycle host (container "c" uses probe or lifecycle host "h")',
    ],
    [
      'privileged',
      container({ privileged: true }),
      'privileged (container "c" must not set securityContext.privileged=true)',
    ],
    [
      'procMount',
      container({ procMount: 'Unmasked' }),
      'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
    ],
    [
      'seLinuxOptions',
      container({ seLinuxOptions: { type: 't', user: 'u', role: 'r' } }),
      'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "t"; user may not be set; role may not be set)',
    ],
    [
      'seccompProfile_baseline',
      container({ seccompProfile: { type: 'Unconfined' } }),
      'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      'sysctls',
      { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } },
      'forbidden sysctls (kernel.msgmax)',
    ],
    [
      'windowsHostProcess',
      { securityContext: { windowsOptions: { hostProcess: true } } },
      'hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)',
    ],
    [
      'appArmorProfile',
      container({ appArmorProfile: { type: 'Unconfined' } }),
      'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
    ],
  ])('baseline, %s', (_id, spec, expected) => {
    expect(textOf('baseline', spec)).toBe(expected)
    expect(textOf('privileged', spec)).toBe('')
  })

  it.each([
    [
      'allowPrivilegeEscalation',
      container({ allowPrivilegeEscalation: undefined }),
      'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
    ],
    [
      'capabilities_restricted',
      container({ capabilities: { add: ['CHOWN'] } }),
      'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must not include "CHOWN" in securityContext.capabilities.add)',
    ],
    [
      'restrictedVolumes',
      { volumes: [{ name: 'v', nfs: { path: '/', server: 's' } }] },
      'restricted volume types (volume "v" uses restricted volume type "nfs")',
    ],
    [
      'runAsNonRoot',
      container({ runAsNonRoot: undefined }),
      'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
    ],
    ['runAsUser', { securityContext: { runAsUser: 0 } }, 'runAsUser=0 (pod must not set runAsUser=0)'],
    [
      'seccompProfile_restricted',
      container({ seccompProfile: undefined }),
      'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ],
  ])('restricted, %s', (_id, spec, expected) => {
    expect(textOf('restricted', spec)).toBe(expected)
    expect(textOf('baseline', spec)).toBe('')
  })

  it('restricted, procMount_restricted: not even in a user namespace', () => {
    const spec = { ...container({ procMount: 'Unmasked' }), hostUsers: false }
    expect(textOf('baseline', spec)).toBe('')
    expect(textOf('restricted', spec)).toMatch(/^procMount/)
  })

  it('a pod that is as it should be violates nothing', () => expect(textOf('restricted', {})).toBe(''))

  it('an older version has what it had', () => {
    const labels = {
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/enforce-version': 'v1.7',
    }
    const { enforce } = policyOf(labels)
    const old = (spec: object, annotations = {}) =>
      violationsText(violationsOf(enforce, { annotations }, { ...container(), ...spec }))
    expect(old(container({ allowPrivilegeEscalation: true, capabilities: {}, seccompProfile: undefined }))).toBe('')
    expect(old({}, { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' })).toBe(
      'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")',
    )
  })
})

describe('policyOf: what is usual', () => {
  const usual = usualPolicy({ enforce: 'baseline', 'enforce-version': 'v1.30', audit: 'restricted' })
  const textsOf = (labels: Record<string, string>) => {
    const { enforce, audit, warn } = policyOf(labels, usual)
    return [enforce, audit, warn].map(standardText)
  }
  it('holds where a namespace says nothing, label by label', () => {
    expect(textsOf({})).toEqual(['baseline:v1.30', 'restricted:latest', 'privileged:latest'])
    expect(textsOf({ [label('enforce')]: 'privileged', [label('audit-version')]: 'v1.25' })).toEqual([
      'privileged:v1.30',
      'restricted:v1.25',
      'privileged:latest',
    ])
  })
  it('who says that more is enforced is warned of that, too', () => {
    expect(textsOf({ [label('enforce')]: 'restricted' })).toEqual([
      'restricted:v1.30',
      'restricted:latest',
      'restricted:v1.30',
    ])
  })
})

describe('podSecurity', () => {
  it('enforces, with everything that is wrong in one sentence', async () => {
    const { makePod, close } = await aNamespace({ [label('enforce')]: 'restricted' })
    expect((await makePod(aPlainPod())).body).toMatchObject({
      code: 403,
      message:
        'pods "p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    })
    expect((await makePod(aPlainPod(container()))).status).toBe(201)
    await close()
  })

  it('warns about pods and about what makes pods', async () => {
    const { makePod, make, close } = await aNamespace({ [label('warn')]: 'baseline' })
    const warning = /would violate PodSecurity \\?"baseline:latest\\?": host namespaces \(hostNetwork=true\)/
    const pod = await makePod(aPlainPod({ hostNetwork: true }))
    expect(pod.status).toBe(201)
    expect(String(pod.headers.warning)).toMatch(warning)
    const labels = { app: 'x' }
    const template = { metadata: { labels }, spec: aPlainPod({ hostNetwork: true }).spec }
    const body = { metadata: { name: 'd' }, spec: { selector: { matchLabels: labels }, template } }
    const deployment = await make('/apis/apps/v1/namespaces/n/deployments', body)
    expect(String(deployment.headers.warning)).toMatch(warning)
    await close()
  })

  it('a namespace that becomes stricter is told of the pods in it; a label must mean something', async () => {
    const { makePod, call, close } = await aNamespace()
    await makePod(aPlainPod({ hostPID: true }, 'a'))
    await makePod(aPlainPod({ hostPID: true }, 'b'))
    const put = (level: string) =>
      call('PATCH', '/api/v1/namespaces/n', { body: { metadata: { labels: { [label('enforce')]: level } } } })
    const text = String((await put('baseline')).headers.warning).replaceAll('\\"', '"')
    expect(text).toMatch('existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest"')
    expect(text).toMatch('a (and 1 other pod): host namespaces')
    expect((await put('strict')).body.message).toMatch(
      'Invalid value: "strict": must be one of privileged, baseline, restricted',
    )
    await close()
  })
})
