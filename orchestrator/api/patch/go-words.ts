/**
 * How kube-apiserver words a strategic merge patch whose result has a value of the wrong type: Go's text of the patch,
 * and the words of its converter. Source: k8s.io/apimachinery/pkg/runtime/converter.go.
 */
import type { Facts } from '../../../runtime/base/errors.ts'
import { isRecord } from '../schema/decode-scalar.ts'

/** A JSON value as Go's `%+v` prints it: `map[a:map[b:1] c:[x y]]`, keys sorted. */
export function goText(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (!isRecord(value)) return String(value)
  const fields = Object.keys(value).sort()
  return `map[${fields.map((name) => `${name}:${goText(value[name])}`).join(' ')}]`
}

/** `facts` are those of a DECODE error; undefined when the error is about another thing than a type. */
export function converterWords({ wantedType, foundType }: Facts): string | undefined {
  if (typeof wantedType !== 'string' || typeof foundType !== 'string') return undefined
  const found = goKinds[foundType] ?? foundType
  if (wantedType.startsWith('map[')) return `cannot restore map from ${found}`
  if (wantedType.startsWith('[]')) return `cannot restore slice from ${found}`
  if (wantedType.includes('.')) return `cannot restore struct from: ${found}`
  const isConvertible = isNumeric(found) && (isNumeric(wantedType) || (found === 'int64' && wantedType === 'string'))
  return isConvertible ? `cannot convert ${found} to ${wantedType}` : `unrecognized type: ${wantedType}`
}

/** What a JSON value is in Go, by the name that JSON has for it. */
const goKinds: Readonly<Record<string, string>> = { array: 'slice', object: 'map', integer: 'int64', number: 'float64' }

const isNumeric = (type: string) => /^(int|float)\d+$/.test(type)
