/** The errno numbers that code decides by; all names are in errno.ts. */
export const EPERM = 1
export const ENOENT = 2
export const EBADF = 9
export const ECHILD = 10
export const EACCES = 13
export const EEXIST = 17
export const ENODEV = 19
export const ENOTDIR = 20
export const EINVAL = 22
export const EROFS = 30
export const ENOSYS = 38
export const ELOOP = 40
