/** Attributes that only mean something on the machine where the archive was made. */
const foreign = ['security.selinux', 'security.ima', 'security.evm', 'security.apparmor', 'system.nfs4_acl']
const allowed = ['user.', 'trusted.', 'security.', 'system.posix_acl_']
const overlay = /^(trusted|user)\.overlay\./

/**
 * The name under which an attribute of an archive is set, or undefined if it is left out. Attributes of overlayfs are
 * escaped: taken literally, they would let a layer redirect folders to other places. overlayfs.rst, "Nesting".
 */
export function translateXattr(name: string): string | undefined {
  if (foreign.includes(name) || !allowed.some((prefix) => name.startsWith(prefix))) return undefined
  return name.replace(overlay, '$1.overlay.overlay.')
}

/** The other way: how an attribute of a file in a container's layer is called in an archive; undefined if it is none of its. */
export function restoreXattr(name: string): string | undefined {
  if (foreign.includes(name) || !allowed.some((prefix) => name.startsWith(prefix))) return undefined
  if (!overlay.test(name)) return name
  const escaped = /^(trusted|user)\.overlay\.overlay\./
  return escaped.test(name) ? name.replace(escaped, '$1.overlay.') : undefined
}

/** The same for an archive that is no layer: what overlayfs and other filesystems keep for themselves is left out. */
export function plainXattr(name: string): string | undefined {
  return name.startsWith('trusted.') ? undefined : translateXattr(name)
}
