import { CoracleError, errnoOf, type Facts } from '../runtime/base/errors.ts'

/** Errors of this folder, each with what it means to the reader. */
export const imageErrors = {
  IMAGE_REFERENCE_INVALID: 'the name of an image cannot be read',
  IMAGE_NOT_FOUND: 'neither this host nor the registry has the image',
  IMAGE_UNAUTHORIZED: 'the registry wants other credentials',
  IMAGE_REGISTRY: 'the registry cannot be reached or gave an unusable answer',
  IMAGE_INSECURE: 'the registry is reachable only without TLS, and is not configured as insecure',
  IMAGE_DIGEST_MISMATCH: 'bytes are not those that their digest promises',
  IMAGE_MANIFEST_INVALID: 'a manifest, index or configuration breaks the image specification',
  IMAGE_UNSUPPORTED: 'the image uses something that we do not do',
  IMAGE_PLATFORM_MISSING: 'the image does not exist for this kind of machine',
  IMAGE_LAYER_INVALID: 'a layer is damaged or hostile',
  IMAGE_TOO_LARGE: 'a layer is larger than allowed',
  IMAGE_ARCHIVE_INVALID: 'a file is no image archive',
  IMAGE_BUILD: 'an image cannot be composed from the given files',
  IMAGE_CONFIG: 'a file that says how to use registries cannot be understood',
  IMAGE_CREDENTIALS: 'the user of a registry cannot be found out',
  IMAGE_IN_USE: 'a container uses it, or it has other names',
  IMAGE_PATH: 'a path in a container or on this host cannot be copied from or to',
  IMAGE_STORE: 'the store cannot be written: its disk is full, read-only or broken',
  IMAGE_SETTING: 'a setting of the image store makes no sense',
} as const

export type ImageErrorCode = keyof typeof imageErrors

interface Details {
  hint?: string
  cause?: unknown
  facts?: Facts
  retryable?: boolean
}

/** A CoracleError with a code of this folder. `message` reads `verb object: reason`. */
export function imageError(code: ImageErrorCode, message: string, details: Details = {}): CoracleError {
  return new CoracleError(message, { code, ...details })
}

const ownFaults = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'EACCES']

/** True for what is the fault of this host, not of the image: it can be tried again when that has been mended. */
export function isHostFault(error: unknown): boolean {
  return ownFaults.includes(errnoOf(error) ?? '')
}
