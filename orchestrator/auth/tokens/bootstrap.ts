/** Tokens with which a new node introduces itself. Source: k8s.io/kubernetes/plugin/pkg/auth/authenticator/token/bootstrap. */
import { timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../../runtime/base/clock.ts'
import type { Secret } from '../../api/types.ts'
import type { User } from '../../api/user.ts'
import { authError } from '../errors.ts'
import type { TokenObjects } from './service-account.ts'

const pattern = /^([a-z0-9]{6})\.([a-z0-9]{16})$/
const bootstrappers = 'system:bootstrappers'
const extraGroup = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/

/** Undefined for a text that is no such token. Throws INVALID_TOKEN. */
export function authenticateBootstrap(objects: TokenObjects, clock: Clock, token: string): User | undefined {
  const [, id, secretPart] = pattern.exec(token) ?? []
  if (id === undefined || secretPart === undefined) return undefined
  const secret = objects.find('secrets', `bootstrap-token-${id}`, 'kube-system') as Secret | undefined
  const read = (key: string) => Buffer.from(secret?.data?.[key] ?? '', 'base64').toString()
  const isOurs =
    secret?.type === 'bootstrap.kubernetes.io/token' &&
    secret.metadata?.deletionTimestamp === undefined &&
    read('token-id') === id &&
    isSame(read('token-secret'), secretPart) &&
    read('usage-bootstrap-authentication') === 'true' &&
    !isOver(read('expiration'), clock)
  if (!isOurs)
    throw authError('INVALID_TOKEN', 'the bootstrap token is unknown, has expired, or is not for authentication')
  return { name: `system:bootstrap:${id}`, groups: [bootstrappers, ...groupsOf(read('auth-extra-groups'))] }
}

function isSame(kept: string, given: string): boolean {
  const [left, right] = [Buffer.from(kept), Buffer.from(given)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** No time: for ever. A time that cannot be read: over. */
function isOver(expiration: string, clock: Clock): boolean {
  return expiration !== '' && !(Date.parse(expiration) > clock.now())
}

function groupsOf(text: string): string[] {
  const groups = text === '' ? [] : text.split(',')
  const wrong = groups.find((group) => !extraGroup.test(group))
  if (wrong !== undefined)
    throw authError('INVALID_TOKEN', `the bootstrap token has a group that it may not have: ${wrong}`)
  return groups
}
