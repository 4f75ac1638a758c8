import { containerError } from './errors.ts'

/** `linux.cgroupsPath` below the root of the hierarchies; `..` would lead out of it. */
export function cgroupPathOf(path: string | undefined, id: string): string {
  const parts = (path || `coracle/${id}`).split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..') || parts.length === 0) {
    throw containerError('INVALID_ID', `create ${id}: cgroupsPath ${path} leads out of the hierarchy`, { id })
  }
  if (path?.includes(':')) {
    throw containerError(
      'INVALID_ID',
      `create ${id}: cgroupsPath ${path} is meant for systemd, which is not supported`,
      { id },
    )
  }
  return parts.join('/')
}
