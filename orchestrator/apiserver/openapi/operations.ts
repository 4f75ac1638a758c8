/** The paths of a kind with their operations, in a form that both versions of OpenAPI are written from. */
import type { Kind, Verb } from '../../api/kinds/kind.ts'

export interface Operation {
  readonly path: string
  readonly method: 'get' | 'put' | 'post' | 'delete' | 'patch'
  /** `list`, `post`, `patch` …: `x-kubernetes-action`. */
  readonly action: string
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string }
  readonly operationId: string
  readonly pathParameters: readonly string[]
  readonly queryParameters: readonly QueryParameter[]
  /** Definitions of what is sent and of what comes back. */
  readonly body?: string
  readonly answer: string
}

export interface QueryParameter {
  readonly name: string
  readonly type: 'string' | 'integer' | 'boolean'
}

const text = (name: string): QueryParameter => ({ name, type: 'string' })
const number = (name: string): QueryParameter => ({ name, type: 'integer' })
const truth = (name: string): QueryParameter => ({ name, type: 'boolean' })

const pretty = text('pretty')
const selecting = [
  truth('allowWatchBookmarks'),
  text('continue'),
  text('fieldSelector'),
  text('labelSelector'),
  number('limit'),
  text('resourceVersion'),
  text('resourceVersionMatch'),
  truth('sendInitialEvents'),
  number('timeoutSeconds'),
  truth('watch'),
]
const writing = [text('dryRun'), text('fieldManager'), text('fieldValidation')]
const deleting = [text('dryRun'), number('gracePeriodSeconds'), text('propagationPolicy')]

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.'

interface Shape {
  method: Operation['method']
  action: string
  query: readonly QueryParameter[]
  body?: 'object' | 'patch' | 'options'
  answer?: 'list' | 'status'
  onItem: boolean
}

const shapes: Readonly<Record<Exclude<Verb, 'watch'>, Shape>> = {
  list: { method: 'get', action: 'list', query: selecting, answer: 'list', onItem: false },
  create: { method: 'post', action: 'post', query: writing, body: 'object', onItem: false },
  deletecollection: {
    method: 'delete',
    action: 'deletecollection',
    query: [...deleting, ...selecting],
    body: 'options',
    answer: 'status',
    onItem: false,
  },
  get: { method: 'get', action: 'get', query: [], onItem: true },
  update: { method: 'put', action: 'put', query: writing, body: 'object', onItem: true },
  patch: { method: 'patch', action: 'patch', query: [...writing, truth('force')], body: 'patch', onItem: true },
  delete: { method: 'delete', action: 'delete', query: deleting, body: 'options', answer: 'status', onItem: true },
}

/** All operations of a kind and of its subresources that carry the kind itself. */
export function operationsOf(kind: Kind): Operation[] {
  const ofKind = kind.verbs.filter((verb) => verb !== 'watch').map((verb) => operation(kind, shapes[verb]))
  const everywhere = kind.namespaced
    ? [operation({ ...kind, namespaced: false }, shapes.list, '', 'ForAllNamespaces')]
    : []
  const ofSubresources = kind.subresources
    .filter((sub) => sub.kind === undefined)
    .flatMap((sub) =>
      sub.verbs
        .filter((verb) => verb !== 'watch')
        .map((verb) => operation(kind, { ...shapes[verb], onItem: true }, sub.name)),
    )
  return [...ofKind, ...everywhere, ...ofSubresources]
}

function operation(kind: Kind, shape: Shape, ...[subresource = '', suffix = '']: string[]): Operation {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`
  const scope = kind.namespaced ? '/namespaces/{namespace}' : ''
  const item = shape.onItem ? '/{name}' : ''
  const below = subresource === '' ? '' : `/${subresource}`
  const body = bodyOf(kind, shape)
  return {
    path: `${root}${scope}/${kind.resource}${item}${below}`,
    method: shape.method,
    action: shape.action,
    kind: { group: kind.group, version: kind.version, kind: kind.kind },
    operationId: [
      shape.action,
      kind.group || 'core',
      kind.version,
      kind.namespaced ? 'Namespaced' : '',
      kind.kind,
      subresource,
      suffix,
    ]
      .map((part, at) => (at === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1)))
      .join('')
      .replace(/\W/g, ''),
    pathParameters: [...(kind.namespaced ? ['namespace'] : []), ...(shape.onItem ? ['name'] : [])],
    queryParameters: [...shape.query, pretty],
    ...(body ? { body } : {}),
    answer:
      shape.answer === 'list'
        ? `${kind.definition}List`
        : shape.answer === 'status'
          ? `${meta}Status`
          : kind.definition,
  }
}

function bodyOf(kind: Kind, { body }: Shape): string | undefined {
  if (body === 'object') return kind.definition
  if (body === 'patch') return `${meta}Patch`
  return body === 'options' ? `${meta}DeleteOptions` : undefined
}

export const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
]
