/** Go's durations as text: `1h2m3.5s`, `250ms`. Source: https://pkg.go.dev/time#ParseDuration. */

const unitNanoseconds: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

/** Nanoseconds; 0 for what is no duration. */
export function nanosecondsOf(text: string): bigint {
  let sum = 0n
  for (const [, whole = '0', fraction = '', unit = 's'] of text.matchAll(/(\d+)(?:\.(\d+))?(ns|us|µs|ms|s|m|h)/g)) {
    const scale = unitNanoseconds[unit] ?? 0n
    sum += BigInt(whole) * scale + (BigInt(fraction.padEnd(12, '0').slice(0, 12)) * scale) / 1_000_000_000_000n
  }
  return text.startsWith('-') ? -sum : sum
}

/** As Go prints it. */
export function durationText(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return '0s'
  const sign = nanoseconds < 0n ? '-' : ''
  const size = nanoseconds < 0n ? -nanoseconds : nanoseconds
  const second = 1_000_000_000n
  if (size < second) return sign + belowSecond(size)
  const seconds = size / second
  const hours = seconds / 3600n
  const minutes = (seconds / 60n) % 60n
  const rest = `${withFraction(seconds % 60n, size % second, 9)}s`
  if (hours > 0n) return `${sign}${hours}h${minutes}m${rest}`
  return minutes > 0n ? `${sign}${minutes}m${rest}` : sign + rest
}

function belowSecond(size: bigint): string {
  if (size < 1_000n) return `${size}ns`
  if (size < 1_000_000n) return `${withFraction(size / 1_000n, size % 1_000n, 3)}µs`
  return `${withFraction(size / 1_000_000n, size % 1_000_000n, 6)}ms`
}

function withFraction(whole: bigint, fraction: bigint, digits: number): string {
  const text = String(fraction).padStart(digits, '0').replace(/0+$/, '')
  return text === '' ? String(whole) : `${whole}.${text}`
}
