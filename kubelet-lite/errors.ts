import { CoracleError } from '../runtime/base/errors.ts'

/**
 * Codes of this folder. The first group are the container states' `waiting.reason`s in the kubelet's own words:
 * `status.ts` shows them as they are.
 */
export const waitingReasons = [
  'ErrImagePull',
  'ErrImageNeverPull',
  'InvalidImageName',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'FailedMount',
  'FailedCreatePodSandBox',
] as const

export type WaitingReason = (typeof waitingReasons)[number]

/** A step towards a running container failed; `reason` is what `kubectl get pod` will show. */
export function stepFailed(reason: WaitingReason, cause: unknown, what = ''): CoracleError {
  const text = cause instanceof Error ? cause.message : String(cause)
  return new CoracleError(what === '' ? text : `${what}: ${text}`, { code: reason, cause, retryable: true })
}

/** The waiting reason that an error carries, if it is one of ours. */
export function waitingReasonOf(error: unknown): WaitingReason | undefined {
  return error instanceof CoracleError ? waitingReasons.find((reason) => reason === error.code) : undefined
}
