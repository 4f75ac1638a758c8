/** Which uid, gid and groups a container's process gets: from the pod, or from the image's USER through its /etc/passwd. */
import { stepFailed } from '../errors.ts'
import type { SecurityContext } from './types.ts'

export interface ResolvedUser {
  uid: number
  gid: number
  additionalGids: readonly number[]
  home: string
}

/** Reads one file of the image, as text; undefined when there is none. At most 1 MiB. */
export type ReadImageFile = (path: string) => Promise<string | undefined>

interface Account {
  name: string
  uid: number
  gid: number
  home: string
}

/**
 * Throws `CreateContainerConfigError` for a USER that the image does not know, or when the pod demands a user other
 * than root and gets root, or cannot know.
 */
export async function resolveUser(
  image: string,
  security: SecurityContext,
  read: ReadImageFile,
): Promise<ResolvedUser> {
  const [wanted = '', wantedGroup] = image.split(':')
  const accounts = parsePasswd((await read('/etc/passwd')) ?? '')
  const groups = parseGroup((await read('/etc/group')) ?? '')
  const asked = security.runAsUser === undefined ? wanted : String(security.runAsUser)
  const account = find(accounts, asked)
  const uid = account?.uid ?? (asked === '' ? 0 : strictId(asked))
  if (uid === undefined) {
    throw stepFailed('CreateContainerError', `unable to find user ${asked}: no matching entries in passwd file`)
  }
  refuseRoot(security, { uid, asked })
  const group = wantedGroup === undefined || security.runAsUser !== undefined ? undefined : groupId(groups, wantedGroup)
  const member = groups.filter((each) => account && each.members.includes(account.name)).map((each) => each.gid)
  return {
    uid,
    gid: security.runAsGroup ?? group ?? account?.gid ?? 0,
    additionalGids: [...new Set([...member, ...security.supplementalGroups])],
    home: account?.home || '/',
  }
}

function refuseRoot(security: SecurityContext, user: { uid: number; asked: string }): void {
  if (!security.runAsNonRoot) return
  if (security.runAsUser === undefined && user.asked !== '' && strictId(user.asked) === undefined) {
    const why = `container has runAsNonRoot and image has non-numeric user (${user.asked}), cannot verify user is non-root`
    throw stepFailed('CreateContainerConfigError', why)
  }
  if (user.uid !== 0) return
  const why =
    security.runAsUser === 0
      ? "container's runAsUser breaks non-root policy"
      : 'container has runAsNonRoot and image will run as root'
  throw stepFailed('CreateContainerConfigError', why)
}

function find(accounts: readonly Account[], asked: string): Account | undefined {
  const id = asked === '' ? 0 : strictId(asked)
  return accounts.find((each) => (id === undefined ? each.name === asked : each.uid === id))
}

function groupId(groups: readonly { name: string; gid: number }[], wanted: string): number {
  const id = strictId(wanted) ?? groups.find((each) => each.name === wanted)?.gid
  if (id === undefined) {
    throw stepFailed('CreateContainerError', `unable to find group ${wanted}: no matching entries in group file`)
  }
  return id
}

/** Decimal digits up to 2³¹-1 and nothing else: a name that merely begins with digits is a name (CVE-2026-30892). */
function strictId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined
  const id = Number(text)
  return id <= 0x7fffffff ? id : undefined
}

function parsePasswd(text: string): Account[] {
  return rows(text).flatMap(([name = '', , uid = '', gid = '', , home = '/']) => {
    const numbers = [strictId(uid), strictId(gid)] as const
    if (numbers[0] === undefined || numbers[1] === undefined) return []
    return [{ name, uid: numbers[0], gid: numbers[1], home }]
  })
}

function parseGroup(text: string): { name: string; gid: number; members: string[] }[] {
  return rows(text).flatMap(([name = '', , gid = '', members = '']) => {
    const id = strictId(gid)
    return id === undefined ? [] : [{ name, gid: id, members: members.split(',') }]
  })
}

function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'))
}
