/**
 * Kubernetes quantities ("250m", "1.5Gi", "1e3"), exactly: amounts are whole numbers of 10^-9, as in Kubernetes,
 * which rounds anything finer up (away from zero).
 * Source: k8s.io/apimachinery/pkg/api/resource/quantity.go.
 */
import { refusal } from './errors.ts'

type Format = 'binary' | 'decimal' | 'exponent'

export interface Quantity {
  /** In units of 10^-9. */
  readonly nano: bigint
  readonly format: Format
}

const NANO = 1_000_000_000n
/** More digits than any amount has; a number of megabytes would take seconds to read. */
const longestText = 300
const largest = (2n ** 63n - 1n) * NANO
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
const wrongFormat = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

const malformed = (message: string) => refusal('BAD_QUANTITY', message)

/** The few texts that a cluster uses, parsed: a pod asks for each of its amounts several times. */
const parsed = new Map<string | number, Quantity>()
const mostParsed = 2000

/** The quantity that `text` means. Throws BAD_QUANTITY with Kubernetes' own message. */
export function parseQuantity(text: string | number): Quantity {
  const known = parsed.get(text)
  if (known) return known
  const quantity = parse(text)
  if (parsed.size < mostParsed) parsed.set(text, quantity)
  return quantity
}

function parse(text: string | number): Quantity {
  if (String(text).length > longestText) throw malformed(wrongFormat)
  const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*)([-+]?[0-9]*)$/.exec(String(text))
  if (!match || text === '') throw malformed(wrongFormat)
  const [, sign = '', whole = '', fraction = '', letters = '', exponent = ''] = match
  if (whole === '' && fraction === '') throw malformed(wrongFormat)
  const scale = scaleOf(letters, exponent)
  const digits = BigInt(whole + fraction)
  const nano = multiply({ digits, fractionDigits: fraction.length, scale })
  const capped = nano > largest ? largest : nano
  return { nano: sign === '-' ? -capped : capped, format: scale.format }
}

interface Scale {
  base: 2 | 10
  power: number
  format: Format
}

function scaleOf(letters: string, exponent: string): Scale {
  if (exponent !== '' && (letters === 'e' || letters === 'E') && /[0-9]/.test(exponent)) {
    return { base: 10, power: Number(exponent), format: 'exponent' }
  }
  if (exponent !== '') throw malformed("unable to parse quantity's suffix")
  const binary = binarySuffixes.indexOf(letters)
  if (binary > 0) return { base: 2, power: binary * 10, format: 'binary' }
  const decimal = decimalSuffixes.indexOf(letters)
  if (decimal >= 0) return { base: 10, power: (decimal - 3) * 3, format: 'decimal' }
  throw malformed("unable to parse quantity's suffix")
}

function multiply(amount: { digits: bigint; fractionDigits: number; scale: Scale }): bigint {
  const { digits, fractionDigits, scale } = amount
  if (digits === 0n) return 0n
  const power = 9 - fractionDigits + (scale.base === 10 ? scale.power : 0)
  // Far outside of what can be represented: neither a gigantic nor a vanishing number is worth computing.
  if (power > 60) return largest
  if (power < -1000) return 1n
  const factor = scale.base === 2 ? 2n ** BigInt(scale.power) : 1n
  const scaled = digits * factor
  if (power >= 0) return scaled * 10n ** BigInt(power)
  const divisor = 10n ** BigInt(-power)
  return (scaled + divisor - 1n) / divisor
}

/** The canonical text: no fraction, the largest suffix that loses nothing. */
export function formatQuantity(quantity: Quantity): string {
  const { nano, format } = quantity
  if (nano === 0n) return '0'
  const size = nano < 0n ? -nano : nano
  const sign = nano < 0n ? '-' : ''
  const asBinary = format === 'binary' && size >= 1024n * NANO && size % NANO === 0n
  if (asBinary) return sign + inSteps(size / NANO, { step: 1024n, suffixes: binarySuffixes })
  if (format === 'exponent') return sign + inSteps(size, { step: 1000n, suffixes: exponentSuffixes })
  return sign + inSteps(size, { step: 1000n, suffixes: decimalSuffixes })
}

const exponentSuffixes = ['e-9', 'e-6', 'e-3', '', 'e3', 'e6', 'e9', 'e12', 'e15', 'e18', 'e21', 'e24']

function inSteps(value: bigint, unit: { step: bigint; suffixes: readonly string[] }): string {
  let at = 0
  let rest = value
  while (rest % unit.step === 0n && at < unit.suffixes.length - 1) {
    rest /= unit.step
    at++
  }
  return `${rest}${unit.suffixes[at]}`
}

/** Negative, zero or positive, as for `sort`. */
export function compareQuantities(left: Quantity, right: Quantity): number {
  return left.nano < right.nano ? -1 : left.nano > right.nano ? 1 : 0
}

/** The sum, in the format of `left` (of `right` when `left` is zero). */
export function addQuantities(left: Quantity, right: Quantity): Quantity {
  return { nano: left.nano + right.nano, format: left.nano === 0n ? right.format : left.format }
}

/** The difference, in the format of `left`. */
export function subtractQuantities(left: Quantity, right: Quantity): Quantity {
  return { nano: left.nano - right.nano, format: left.format }
}

/** Whole units, rounded up: bytes of a memory quantity. */
export function wholeUnits(quantity: Quantity): number {
  return Number(ceilDivide(quantity.nano, NANO))
}

/** Thousandths, rounded up: the milli-CPUs of a cpu quantity. */
export function milliUnits(quantity: Quantity): number {
  return Number(ceilDivide(quantity.nano, NANO / 1000n))
}

function ceilDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor
  return value > 0n && value % divisor !== 0n ? quotient + 1n : quotient
}
