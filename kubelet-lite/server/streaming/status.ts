/** The part of a metav1.Status that tells how a command ended. */
export type CommandStatus = {
  metadata: Record<string, never>
  status: 'Success' | 'Failure'
  message?: string
  reason?: string
  details?: { causes: { reason?: string; message: string }[] }
  code?: number
}

export const success: CommandStatus = { metadata: {}, status: 'Success' }

/** How a command that ran has ended; kubectl exits with the same code. */
export function exitStatus(exitCode: number): CommandStatus {
  if (exitCode === 0) return success
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  }
}

/** The command could not be run, and why. Source: k8s.io/apimachinery/pkg/api/errors, NewInternalError. */
export function failureStatus(why: string): CommandStatus {
  return {
    metadata: {},
    status: 'Failure',
    message: `Internal error occurred: ${why}`,
    reason: 'InternalError',
    details: { causes: [{ message: why }] },
    code: 500,
  }
}

/** What the error stream carries: from v4 on the status itself, before it a text, and nothing on success. */
export function errorText(status: Readonly<Record<string, unknown>>, protocol: string): string {
  if (/^v[45]\./.test(protocol)) return JSON.stringify(status)
  return status.status === 'Success' ? '' : String(status.message ?? 'the command failed')
}
