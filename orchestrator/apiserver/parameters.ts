/** Query parameters as Go reads them. */
import { badRequest } from '../api/status.ts'

/** The whole number of a parameter; undefined when unset. */
export function numberOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (/^-?[0-9]{1,15}$/.test(text)) return Number(text)
  throw badRequest(
    `${name}: Invalid value: ${JSON.stringify(text)}: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
  )
}

/**
 * The truth of a parameter; undefined when unset. All but `0` and `false` is true: `?watch` alone, and `watch=True`, as
 * Python's client has it. Source: k8s.io/apimachinery/pkg/runtime/conversion.go.
 */
export function booleanOf(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name)
  return text === null ? undefined : text !== '0' && text.toLowerCase() !== 'false'
}

/** Whether text is to be set for people, read as Go's strconv.ParseBool; undefined when that is not said. */
export function prettyOf(query: URLSearchParams): boolean | undefined {
  const text = query.get('pretty')
  return text ? ['1', 't', 'T', 'true', 'True', 'TRUE'].includes(text) : undefined
}
