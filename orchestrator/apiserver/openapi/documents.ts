/** OpenAPI 2.0 of the whole server, and OpenAPI 3.0 of one group and version. */
import type { Kind } from '../../api/kinds/kind.ts'
import { definitionsOf, type OpenApiSchema } from './definitions.ts'
import { type Operation, operationsOf, patchTypes } from './operations.ts'

const info = { title: 'Kubernetes', version: 'v1.36.0' }

export interface Document2 {
  readonly swagger: '2.0'
  readonly info: typeof info
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation2>>>>
  readonly definitions: Readonly<Record<string, OpenApiSchema>>
}

export interface Operation2 {
  readonly operationId: string
  readonly consumes: readonly string[]
  readonly produces: readonly string[]
  readonly parameters: readonly Parameter2[]
  readonly responses: Readonly<Record<string, { readonly description: string; readonly schema?: OpenApiSchema }>>
  readonly 'x-kubernetes-action': string
  readonly 'x-kubernetes-group-version-kind': Operation['kind']
}

export interface Parameter2 {
  readonly name: string
  readonly in: 'path' | 'query' | 'body'
  readonly required?: boolean
  readonly type?: string
  readonly schema?: OpenApiSchema
}

const encodings = ['application/json', 'application/yaml']

function rootsOf(kinds: readonly Kind[]): string[] {
  return kinds.flatMap(operationsOf).flatMap(({ body, answer }) => (body ? [body, answer] : [answer]))
}

/** The document of `/openapi/v2`. */
export async function documentV2(kinds: readonly Kind[]): Promise<Document2> {
  const paths: Record<string, Record<string, Operation2>> = {}
  for (const operation of kinds.flatMap(operationsOf)) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: operationV2(operation) }
  }
  return { swagger: '2.0', info, paths, definitions: await definitionsOf(rootsOf(kinds), 2) }
}

function operationV2(operation: Operation): Operation2 {
  const { body } = operation
  return {
    operationId: operation.operationId,
    consumes: operation.action === 'patch' ? patchTypes : encodings,
    produces: encodings,
    parameters: [
      ...operation.pathParameters.map((name) => ({ name, in: 'path' as const, required: true, type: 'string' })),
      ...operation.queryParameters.map(({ name, type }) => ({ name, in: 'query' as const, type })),
      ...(body
        ? [{ name: 'body', in: 'body' as const, required: true, schema: { $ref: `#/definitions/${body}` } }]
        : []),
    ],
    responses: {
      '200': { description: 'OK', schema: { $ref: `#/definitions/${operation.answer}` } },
      '401': { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.kind,
  }
}

/** The document of `/openapi/v3/<group version>`. */
export async function documentV3(kinds: readonly Kind[]) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of kinds.flatMap(operationsOf)) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: operationV3(operation) }
  }
  return { openapi: '3.0.0', info, paths, components: { schemas: await definitionsOf(rootsOf(kinds), 3) } }
}

function operationV3(operation: Operation) {
  const reference = (name: string) => ({ schema: { $ref: `#/components/schemas/${name}` } })
  const contents = (types: readonly string[], name: string) =>
    Object.fromEntries(types.map((type) => [type, reference(name)]))
  const { body } = operation
  return {
    operationId: operation.operationId,
    parameters: [
      ...operation.pathParameters.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...operation.queryParameters.map(({ name, type }) => ({ name, in: 'query', schema: { type } })),
    ],
    ...(body
      ? {
          requestBody: {
            required: true,
            content: contents(operation.action === 'patch' ? patchTypes : encodings, body),
          },
        }
      : {}),
    responses: {
      '200': { description: 'OK', content: contents(encodings, operation.answer) },
      '401': { description: 'Unauthorized' },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': operation.kind,
  }
}
