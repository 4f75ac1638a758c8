/** Where a value stands in what is decoded: links upwards, made to text only when somebody has to be told. */
export interface Place {
  /** Undefined for the whole. */
  readonly above: Place | undefined
  /** The name of a field, the key of a map, the index in a list. */
  readonly key: string | number
  /** True for a field of a struct: only those are in the path that Go tells. */
  readonly isField: boolean
  /** The struct in which the value is, by its definition. */
  readonly definition: string
  /** What was found on the way, for the whole. */
  readonly unknownFields: string[]
}

/** `spec.containers[0].image`, as strict decoding tells it. */
export function strictPath(place: Place): string {
  const above = place.above ? strictPath(place.above) : ''
  if (typeof place.key === 'number') return `${above}[${place.key}]`
  return above === '' ? place.key : `${above}.${place.key}`
}

/** `spec.containers.image`, as Go's decoder tells it. */
export function goPath(place: Place): string {
  const above = place.above ? goPath(place.above) : ''
  if (!place.isField) return above
  return above === '' ? String(place.key) : `${above}.${place.key}`
}
