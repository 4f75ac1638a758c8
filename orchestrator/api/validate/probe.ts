/** Probes and lifecycle hooks. Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import type { Container, Probe } from '../types.ts'
import { validateNotNegative, validatePort, validatePortOrName } from './numbers.ts'
import { allOf, eachItem, invalidValue, none, notAllowed, type Problem, required, unsupported } from './problem.ts'

type Hook = NonNullable<NonNullable<Container['lifecycle']>['postStart']>
type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & Pick<Hook, 'sleep'>
type HttpGet = NonNullable<Probe['httpGet']>

const handlerNames = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const

/** What is wrong with the way a probe or hook acts: exactly one way must be given. */
export function validateHandler(handler: Handler, field: string): readonly Problem[] {
  const given = handlerNames.filter((name) => handler[name] !== undefined)
  if (given.length === 0) return [required(field, 'must specify a handler type')]
  const [, ...surplus] = given
  return allOf(
    surplus.map((name) => notAllowed(`${field}.${name}`, 'may not specify more than 1 handler type')),
    handler.exec && !handler.exec.command?.length ? [required(`${field}.exec.command`)] : none,
    handler.httpGet ? validateHttpGet(handler.httpGet, `${field}.httpGet`) : none,
    handler.tcpSocket ? validatePortOrName(handler.tcpSocket.port, `${field}.tcpSocket.port`) : none,
    handler.grpc ? validatePort(handler.grpc.port, `${field}.grpc.port`) : none,
    handler.sleep ? validateNotNegative(handler.sleep.seconds, `${field}.sleep.seconds`) : none,
  )
}

function validateHttpGet({ path, port, scheme, httpHeaders }: HttpGet, field: string): readonly Problem[] {
  const schemes = ['HTTP', 'HTTPS']
  return allOf(
    path ? none : [required(`${field}.path`)],
    validatePortOrName(port, `${field}.port`),
    scheme && schemes.includes(scheme) ? none : [unsupported(`${field}.scheme`, scheme ?? '', schemes)],
    eachItem(httpHeaders, `${field}.httpHeaders`, ({ name }, at) =>
      /^[-A-Za-z0-9]+$/.test(name)
        ? none
        : [
            invalidValue(
              at,
              name,
              "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
            ),
          ],
    ),
  )
}

const counts = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const

/** What is wrong with a probe. `isReadiness`: only that one may ask for several successes. */
export function validateProbe(probe: Probe | undefined, field: string, isReadiness = false): readonly Problem[] {
  if (!probe) return []
  const { successThreshold = 1, terminationGracePeriodSeconds: grace } = probe
  return allOf(
    validateHandler(probe, field),
    counts.flatMap((name) => validateNotNegative(probe[name], `${field}.${name}`)),
    !isReadiness && successThreshold !== 1
      ? [invalidValue(`${field}.successThreshold`, successThreshold, 'must be 1')]
      : none,
    grace !== undefined && grace <= 0
      ? [invalidValue(`${field}.terminationGracePeriodSeconds`, grace, 'must be greater than 0')]
      : none,
    isReadiness && grace !== undefined
      ? [invalidValue(`${field}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes')]
      : none,
  )
}
