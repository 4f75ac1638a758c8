/** RFC 6902, with pointers of RFC 6901. */

import { isEqual } from '../equal.ts'
import { refusal } from '../errors.ts'

export interface JsonPatchOperation {
  op: string
  path: string
  from?: string
  value?: unknown
}

const malformed = (message: string) => refusal('BAD_PATCH', message)

/** A longer patch is refused before it is read. Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go. */
export const mostOperations = 10_000

/** True if `patch` is a list of operations with the fields that they need. */
export function checkJsonPatch(patch: unknown): JsonPatchOperation[] {
  if (!Array.isArray(patch)) throw malformed('a JSON patch must be a list of operations')
  return patch.map((operation: Partial<JsonPatchOperation> | null) => {
    const { op, path, from } = operation ?? {}
    if (typeof op !== 'string' || typeof path !== 'string') throw malformed('an operation needs "op" and "path"')
    if ((op === 'move' || op === 'copy') && typeof from !== 'string') throw malformed(`operation ${op} needs "from"`)
    if (['add', 'replace', 'test'].includes(op) && operation?.value === undefined)
      throw malformed(`operation ${op} needs "value"`)
    return operation as JsonPatchOperation
  })
}

/** `document` changed by `patch`; neither is touched. Throws BAD_PATCH when an operation cannot be done. */
export function applyJsonPatch(document: unknown, patch: readonly JsonPatchOperation[]): unknown {
  const holder = { root: structuredClone(document) }
  for (const operation of patch) applyOne(holder, operation)
  return holder.root
}

interface Holder {
  root: unknown
}

function applyOne(holder: Holder, operation: JsonPatchOperation): void {
  const { op, path, from = '' } = operation
  switch (op) {
    case 'add':
      add(holder, path, structuredClone(operation.value))
      break
    case 'remove':
      remove(holder, path)
      break
    case 'replace':
      remove(holder, path)
      add(holder, path, structuredClone(operation.value))
      break
    case 'move':
      if (path.startsWith(`${from}/`)) throw malformed(`cannot move ${from} into itself`)
      add(holder, path, remove(holder, from))
      break
    case 'copy':
      add(holder, path, structuredClone(read(holder, from)))
      break
    case 'test':
      if (!isEqual(read(holder, path), operation.value)) throw malformed(`testing value ${path} failed: test failed`)
      break
    default:
      throw malformed(`Unexpected kind: ${op}`)
  }
}

function segmentsOf(pointer: string): string[] {
  if (pointer === '') return []
  if (!pointer.startsWith('/')) throw malformed(`the path ${JSON.stringify(pointer)} must be empty or begin with '/'`)
  return pointer
    .slice(1)
    .split('/')
    .map((segment) => segment.replace(/~1/g, '/').replace(/~0/g, '~'))
}

type Container = unknown[] | Record<string, unknown>

function childOf(container: unknown, segment: string, pointer: string): unknown {
  if (Array.isArray(container)) return container[indexOf(container, segment, container.length - 1)]
  if (typeof container === 'object' && container !== null && Object.hasOwn(container, segment)) {
    return (container as Record<string, unknown>)[segment]
  }
  throw malformed(`the path ${JSON.stringify(pointer)} does not exist: missing value`)
}

function indexOf(list: readonly unknown[], segment: string, largest: number): number {
  if (!/^(0|[1-9][0-9]*)$/.test(segment) || Number(segment) > largest) {
    throw malformed(`the index ${JSON.stringify(segment)} is not in a list of ${list.length}`)
  }
  return Number(segment)
}

function read(holder: Holder, pointer: string): unknown {
  return segmentsOf(pointer).reduce((value, segment) => childOf(value, segment, pointer), holder.root)
}

/** The container and the last segment of a pointer that is not the root's. */
function parentOf(holder: Holder, pointer: string): { container: Container; segment: string } {
  const segments = segmentsOf(pointer)
  const segment = segments.pop() ?? ''
  const container = segments.reduce((value, each) => childOf(value, each, pointer), holder.root)
  if (typeof container !== 'object' || container === null) {
    throw malformed(`the path ${JSON.stringify(pointer)} does not exist: missing value`)
  }
  return { container: container as Container, segment }
}

function add(holder: Holder, pointer: string, value: unknown): void {
  if (pointer === '') {
    holder.root = value
    return
  }
  const { container, segment } = parentOf(holder, pointer)
  if (Array.isArray(container)) {
    container.splice(segment === '-' ? container.length : indexOf(container, segment, container.length), 0, value)
  } else Object.defineProperty(container, segment, { value, enumerable: true, writable: true, configurable: true })
}

function remove(holder: Holder, pointer: string): unknown {
  if (pointer === '') {
    const { root } = holder
    holder.root = null
    return root
  }
  const { container, segment } = parentOf(holder, pointer)
  const value = childOf(container, segment, pointer)
  if (Array.isArray(container)) container.splice(Number(segment), 1)
  else delete container[segment]
  return value
}
