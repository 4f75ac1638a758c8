/**
 * Ingress: networking.k8s.io/v1beta1 and v1, which is stored: backends were flat, and a path needed no type.
 * Source: k8s.io/kubernetes/pkg/apis/networking/v1beta1/conversion.go.
 */
import type { Ingress, KubeObject } from '../types.ts'

type Spec = NonNullable<Ingress['spec']>
type Rule = NonNullable<Spec['rules']>[number]
type Path = NonNullable<Rule['http']>['paths'][number]
type Backend = NonNullable<Spec['defaultBackend']>

interface OldBackend {
  serviceName?: string
  servicePort?: string | number
  resource?: NonNullable<Backend['resource']>
}

type OldPath = Omit<Path, 'backend' | 'pathType'> & { backend: OldBackend; pathType?: string }
type OldRule = Omit<Rule, 'http'> & { http?: { paths: OldPath[] } }
type OldSpec = Omit<Spec, 'defaultBackend' | 'rules'> & { backend?: OldBackend; rules?: OldRule[] }

interface OldIngress extends KubeObject {
  spec?: OldSpec
}

/** As networking.k8s.io/v1beta1 shows it. */
export function ingressFromV1(object: KubeObject): OldIngress {
  const { spec, ...rest } = object as Ingress
  if (!spec) return rest
  const { defaultBackend, rules, ...others } = spec
  return {
    ...rest,
    spec: {
      ...others,
      ...(defaultBackend ? { backend: oldBackend(defaultBackend) } : {}),
      ...(rules ? { rules: rules.map((rule) => withPaths(rule, oldPath)) } : {}),
    },
  }
}

/** As it is stored. */
export function ingressToV1(object: KubeObject): Ingress {
  const { spec, ...rest } = object as OldIngress
  if (!spec) return rest as Ingress
  const { backend, rules, ...others } = spec
  return {
    ...rest,
    spec: {
      ...others,
      ...(backend ? { defaultBackend: newBackend(backend) } : {}),
      ...(rules ? { rules: rules.map((rule) => withPaths(rule, newPath)) } : {}),
    },
  }
}

function withPaths<From, To>(rule: { host?: string; http?: { paths: From[] } }, change: (path: From) => To) {
  const { http, ...rest } = rule
  return http ? { ...rest, http: { paths: http.paths.map(change) } } : rest
}

const oldPath = ({ backend, ...rest }: Path): OldPath => ({ ...rest, backend: oldBackend(backend) })

const newPath = ({ backend, pathType = 'ImplementationSpecific', ...rest }: OldPath): Path => ({
  ...rest,
  pathType,
  backend: newBackend(backend),
})

function oldBackend({ service, resource }: Backend): OldBackend {
  const port = service?.port?.name || service?.port?.number
  return {
    ...(service ? { serviceName: service.name } : {}),
    ...(port === undefined ? {} : { servicePort: port }),
    ...(resource ? { resource } : {}),
  }
}

function newBackend({ serviceName, servicePort, resource }: OldBackend): Backend {
  const port = typeof servicePort === 'string' ? { name: servicePort } : { number: servicePort ?? 0 }
  return {
    ...(serviceName || !resource
      ? { service: { name: serviceName ?? '', ...(servicePort === undefined ? {} : { port }) } }
      : {}),
    ...(resource ? { resource } : {}),
  }
}
