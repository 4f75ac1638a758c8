/** Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import type { Container, PodSpec } from '../types.ts'
import { validateId } from './numbers.ts'
import { allOf, duplicates, eachItem, invalidValue, none, type Problem, required, unsupported } from './problem.ts'

type ContainerContext = NonNullable<Container['securityContext']>
type PodContext = NonNullable<PodSpec['securityContext']>
type Profile = NonNullable<PodContext['seccompProfile']>

const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined']

function validateProfile(profile: Profile | undefined, field: string): readonly Problem[] {
  if (!profile) return []
  const { type, localhostProfile } = profile
  if (!type) return [required(`${field}.type`, 'type is required when seccompProfile is set')]
  if (!profileTypes.includes(type)) return [unsupported(`${field}.type`, type, profileTypes)]
  if (type !== 'Localhost') {
    return localhostProfile === undefined
      ? []
      : [invalidValue(`${field}.localhostProfile`, localhostProfile, 'can only be set when seccomp type is Localhost')]
  }
  if (!localhostProfile) return [required(`${field}.localhostProfile`, 'must be set when seccomp type is Localhost')]
  const isInside = !localhostProfile.startsWith('/') && !localhostProfile.split('/').includes('..')
  return isInside
    ? []
    : [invalidValue(`${field}.localhostProfile`, localhostProfile, 'must be a relative path inside the profile folder')]
}

/** What is wrong with a container's security context. */
export function validateContainerContext(context: ContainerContext | undefined, field: string): readonly Problem[] {
  if (!context) return []
  const { privileged, allowPrivilegeEscalation, capabilities, runAsUser, runAsGroup, procMount } = context
  const addsAdmin = capabilities?.add?.some((name) => name === 'SYS_ADMIN' || name === 'CAP_SYS_ADMIN')
  const escalation = 'cannot set `allowPrivilegeEscalation` to false and'
  return allOf(
    validateId(runAsUser, `${field}.runAsUser`),
    validateId(runAsGroup, `${field}.runAsGroup`),
    procMount && !['Default', 'Unmasked'].includes(procMount)
      ? [unsupported(`${field}.procMount`, procMount, ['Default', 'Unmasked'])]
      : none,
    allowPrivilegeEscalation === false && privileged
      ? [invalidValue(field, context, `${escalation} \`privileged\` to true`)]
      : none,
    allowPrivilegeEscalation === false && addsAdmin
      ? [invalidValue(field, context, `${escalation} \`capabilities.Add\` CAP_SYS_ADMIN`)]
      : none,
    validateProfile(context.seccompProfile, `${field}.seccompProfile`),
  )
}

const sysctlName = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/

/** What is wrong with a pod's security context. */
export function validatePodContext(context: PodContext | undefined, field: string): readonly Problem[] {
  if (!context) return []
  const { runAsUser, runAsGroup, fsGroup, supplementalGroups, sysctls, fsGroupChangePolicy } = context
  return allOf(
    validateId(runAsUser, `${field}.runAsUser`),
    validateId(runAsGroup, `${field}.runAsGroup`),
    validateId(fsGroup, `${field}.fsGroup`),
    eachItem(supplementalGroups, `${field}.supplementalGroups`, (group, at) => validateId(group, at)),
    fsGroupChangePolicy && !['Always', 'OnRootMismatch'].includes(fsGroupChangePolicy)
      ? [unsupported(`${field}.fsGroupChangePolicy`, fsGroupChangePolicy, ['Always', 'OnRootMismatch'])]
      : none,
    eachItem(sysctls, `${field}.sysctls`, ({ name }, at) => {
      if (!name) return [required(`${at}.name`)]
      return sysctlName.test(name)
        ? none
        : [invalidValue(`${at}.name`, name, `must have at most 253 characters and match regex ${sysctlName.source}`)]
    }),
    duplicates(
      sysctls,
      ({ name }) => name,
      (at) => `${field}.sysctls[${at}].name`,
    ),
    validateProfile(context.seccompProfile, `${field}.seccompProfile`),
  )
}
