import { acceptOverSpdy } from './remote-command-spdy.ts'
import type { RemoteCommandRequest, RemoteCommandStreams } from './remote-command-streams.ts'
import { acceptOverWebSocket } from './remote-command-websocket.ts'
import { refuseUpgrade, wantedUpgrade } from './upgrade.ts'

/**
 * Accepts the streams of kubectl exec or attach, over WebSocket or SPDY as the client asks. A request that is neither is
 * answered with 400. Throws `STREAM_UPGRADE`, `STREAM_TIMEOUT`, `STREAM_CLOSED`. Source: kubernetes/kubernetes,
 * staging/src/k8s.io/kubelet/pkg/cri/streaming/remotecommand; KEP-4006.
 */
export async function acceptRemoteCommand(o: RemoteCommandRequest): Promise<RemoteCommandStreams> {
  const { stdin, stdout, stderr } = o.wanted
  if (!stdin && !stdout && !stderr) {
    throw refuseUpgrade(o.socket, 400, 'you must specify at least 1 of stdin, stdout, stderr')
  }
  switch (wantedUpgrade(o.request)) {
    case 'websocket':
      return acceptOverWebSocket(o)
    case 'spdy':
      return acceptOverSpdy(o)
    case undefined:
      throw refuseUpgrade(o.socket, 400, 'Upgrade request required')
  }
}
