import { usage } from './oci-flags.ts'

/** Who gets the terminal of a container: checked before anything is made, in runc's words. Throws USAGE. */
export function checkConsole(o: { terminal: boolean; detach: boolean; socket: string | undefined }): void {
  if (o.detach && o.terminal && o.socket === undefined) {
    throw usage('cannot allocate tty if runc will detach without setting console socket (use --console-socket)')
  }
  if (!(o.detach && o.terminal) && o.socket !== undefined) {
    throw usage('cannot use console socket if runc will not detach or allocate tty')
  }
}

/** Signals that ask us to end are meant for the container. Returns how to stop passing them on. */
export function forwardSignals(pid: number): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const
  const pass = (signal: NodeJS.Signals) => {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended a moment ago; its exit is on the way.
    }
  }
  for (const signal of signals) process.on(signal, pass)
  return () => {
    for (const signal of signals) process.off(signal, pass)
  }
}
