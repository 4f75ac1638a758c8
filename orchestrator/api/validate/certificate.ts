/** CertificateSigningRequests. Source: k8s.io/kubernetes/pkg/apis/certificates/validation/validation.go. */
import { isEqual } from '../equal.ts'
import { checkDnsSubdomain } from '../names.ts'
import type { CertificateSigningRequest } from '../types.ts'
import {
  allOf,
  duplicate,
  eachItem,
  invalidValue,
  none,
  notAllowed,
  type Problem,
  required,
  unsupported,
} from './problem.ts'

const usages = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
]

const shortestSeconds = 600

/** What is wrong with a CertificateSigningRequest. */
export function validateSigningRequest({ spec, status }: CertificateSigningRequest): readonly Problem[] {
  const { expirationSeconds } = spec
  return allOf(
    validateRequest(spec.request),
    spec.usages?.length ? none : [required('spec.usages')],
    eachItem(spec.usages, 'spec.usages', (usage, at) =>
      usages.includes(usage) ? none : [unsupported(at, usage, usages)],
    ),
    validateSigner(spec.signerName),
    expirationSeconds !== undefined && expirationSeconds < shortestSeconds
      ? [
          invalidValue(
            'spec.expirationSeconds',
            expirationSeconds,
            'may not specify a duration less than 600 seconds (10 minutes)',
          ),
        ]
      : none,
    validateConditions(status?.conditions),
  )
}

/** The first bytes of a PKCS#10 request: a sequence of a sequence whose first member is the version 0. */
function isSigningRequest(der: Buffer): boolean {
  const inner = contentOfSequence(der)
  const info = inner && contentOfSequence(inner)
  return info !== undefined && info[0] === 0x02 && info[1] === 1 && info[2] === 0
}

function contentOfSequence(der: Buffer): Buffer | undefined {
  const short = der[1] ?? 0
  if (der[0] !== 0x30) return undefined
  if (short < 0x80) return der.length >= 2 + short ? der.subarray(2, 2 + short) : undefined
  const bytes = short & 0x7f
  if (bytes < 1 || bytes > 3 || der.length < 2 + bytes) return undefined
  const length = der.readUIntBE(2, bytes)
  return der.length >= 2 + bytes + length ? der.subarray(2 + bytes, 2 + bytes + length) : undefined
}

/**
 * The DER of the first block in PEM of a request as it is stored; undefined when there is none, or one of another type:
 * "NEW CERTIFICATE REQUEST" is another type, as to Go's encoding/pem and Kubernetes' ParseCSR.
 */
export function certificateRequestIn(base64: string | undefined): Buffer | undefined {
  const lines = Buffer.from(base64 ?? '', 'base64')
    .toString('latin1')
    .split(/\r?\n/)
  const begin = lines.findIndex((line) => line.startsWith('-----BEGIN '))
  if (lines[begin]?.trimEnd() !== '-----BEGIN CERTIFICATE REQUEST-----') return undefined
  const end = lines.findIndex((line, at) => at > begin && line.startsWith('-----END CERTIFICATE REQUEST-----'))
  if (end < 0) return undefined
  const body = lines.slice(begin + 1, end).filter((line) => !line.includes(':'))
  const text = body.join('').replace(/\s/g, '')
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

function validateRequest(request: string | undefined): readonly Problem[] {
  const der = certificateRequestIn(request)
  if (der === undefined) {
    return [invalidValue('spec.request', request ?? '', 'PEM block type must be CERTIFICATE REQUEST')]
  }
  return isSigningRequest(der)
    ? []
    : [invalidValue('spec.request', request, 'asn1: structure error: no certificate request')]
}

const longestSigner = 571

function validateSigner(name: string | undefined): readonly Problem[] {
  const field = 'spec.signerName'
  if (!name) return [required(field)]
  const [domain = '', path, ...more] = name.split('/')
  if (path === undefined || more.length > 0) {
    return [
      invalidValue(field, name, 'must be a fully qualified domain and path of the form "example.com/signer-name"'),
    ]
  }
  const isDomain = checkDnsSubdomain(domain).length === 0 && domain.includes('.')
  return allOf(
    isDomain ? none : [invalidValue(field, domain, 'should be a domain with at least two segments separated by dots')],
    checkDnsSubdomain(path.toLowerCase()).length === 0
      ? none
      : [invalidValue(field, path, checkDnsSubdomain(path)[0] ?? '')],
    name.length > longestSigner
      ? [invalidValue(field, name, `must be no more than ${longestSigner} characters`)]
      : none,
  )
}

type Conditions = NonNullable<CertificateSigningRequest['status']>['conditions']

function validateConditions(conditions: Conditions): readonly Problem[] {
  const seen = new Set<string>()
  return eachItem(conditions, 'status.conditions', ({ type, status }, at) => {
    const isVerdict = type === 'Approved' || type === 'Denied' || type === 'Failed'
    const problems: Problem[] = []
    if (!type) problems.push(required(`${at}.type`))
    if (isVerdict && status !== 'True') problems.push(unsupported(`${at}.status`, status, ['True']))
    if (type === 'Approved' && seen.has('Denied')) {
      problems.push(invalidValue(`${at}.type`, type, 'Approved and Denied conditions are mutually exclusive'))
    }
    if (type === 'Denied' && seen.has('Approved')) {
      problems.push(invalidValue(`${at}.type`, type, 'Approved and Denied conditions are mutually exclusive'))
    }
    if (seen.has(type)) problems.push(duplicate(`${at}.type`, type))
    seen.add(type)
    return problems
  })
}

/** What an update through `…/approval` may not do: a verdict stays. */
export function validateApproval(
  request: CertificateSigningRequest,
  old: CertificateSigningRequest,
): readonly Problem[] {
  const next = request.status?.conditions ?? []
  const removed = (old.status?.conditions ?? []).filter(
    ({ type }) => ['Approved', 'Denied', 'Failed'].includes(type) && !next.some((each) => each.type === type),
  )
  return allOf(
    validateConditions(next),
    removed.map(({ type }) =>
      notAllowed('status.conditions', `updates may not remove a condition of type ${JSON.stringify(type)}`),
    ),
  )
}

/** What any update may not do: the wish stays as it was made. */
export function validateSigningRequestUpdate(
  request: CertificateSigningRequest,
  old: CertificateSigningRequest,
): readonly Problem[] {
  return isEqual(request.spec, old.spec) ? [] : [invalidValue('spec', request.spec, 'field is immutable')]
}
