export {
  acceptPortForward,
  type ForwardedConnection,
  type PortForwardRequest,
  type PortForwardSession,
} from './port-forward.ts'
export { acceptRemoteCommand } from './remote-command.ts'
export type { RemoteCommandRequest, RemoteCommandStreams, WantedStreams } from './remote-command-streams.ts'
export { type CommandStatus, exitStatus, failureStatus, success } from './status.ts'
