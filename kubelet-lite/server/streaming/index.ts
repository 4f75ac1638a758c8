export { acceptPortForward, type ForwardedConnection, type PortForwardSession } from './port-forward.ts'
export {
  acceptRemoteCommand,
  type RemoteCommandStreams,
  type TerminalSize,
  type WantedStreams,
} from './remote-command.ts'
export { type CommandStatus, exitStatus, failureStatus, success } from './status.ts'
