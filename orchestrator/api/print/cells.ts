/** What printers of several kinds share. Source: k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Column } from '../kinds/kind.ts'
import type { KubeObject } from '../types.ts'

export const nameColumn: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
}

export const ageColumn: Column = { name: 'Age', type: 'string', description: 'Time since the object was created.' }

/** A text column; `wide` shows it with `-o wide` only. */
export function column(name: string, description: string, wide?: 'wide'): Column {
  return { name, type: 'string', description, ...(wide ? { priority: 1 as const } : {}) }
}

/** The time since creation, as kubectl writes it. */
export function ageOf(object: KubeObject, now: number): string {
  return since(object.metadata?.creationTimestamp, now)
}

/** The time since `timestamp`, or `<unknown>`. */
export function since(timestamp: string | undefined, now: number): string {
  return timestamp ? humanDuration(now - Date.parse(timestamp)) : '<unknown>'
}

/**
 * `5s`, `3m12s`, `5h10m`, `2d3h`, `40d`, `1y20d`: two digits of information.
 * Source: k8s.io/apimachinery/pkg/util/duration/duration.go.
 */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.trunc(seconds / 60)
  if (minutes < 10) return withRest([minutes, 'm'], [seconds % 60, 's'])
  if (minutes < 180) return `${minutes}m`
  const hours = Math.trunc(minutes / 60)
  if (hours < 8) return withRest([hours, 'h'], [minutes % 60, 'm'])
  if (hours < 48) return `${hours}h`
  const days = Math.trunc(hours / 24)
  if (hours < 192) return withRest([days, 'd'], [hours % 24, 'h'])
  if (hours < 24 * 365 * 2) return `${days}d`
  const years = Math.trunc(days / 365)
  if (hours < 24 * 365 * 8) return withRest([years, 'y'], [days % 365, 'd'])
  return `${years}y`
}

type Amount = readonly [amount: number, unit: string]

function withRest([amount, unit]: Amount, [rest, restUnit]: Amount): string {
  return rest === 0 ? `${amount}${unit}` : `${amount}${unit}${rest}${restUnit}`
}
