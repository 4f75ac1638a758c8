/** The part of a metav1.Status that tells how a command ended. */
export interface CommandStatus {
  metadata: Record<string, never>
  status: 'Success' | 'Failure'
  message?: string
  reason?: string
  details?: { causes: { reason: string; message: string }[] }
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

/** The command could not be run. */
export function failureStatus(message: string): CommandStatus {
  return { metadata: {}, status: 'Failure', message, reason: 'InternalError', code: 500 }
}
