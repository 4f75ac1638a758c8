import { isIP } from 'node:net'
import { imageError } from './errors.ts'

const maximumRedirects = 5
const answerWithinMs = 60_000

/** True for hosts that may be spoken to without TLS: loopback, and those that the operator has named. */
export function allowsHttp(host: string, insecureRegistries: readonly string[]): boolean {
  const { hostname } = new URL(`http://${host}`)
  const name = hostname.replace(/^\[|\]$/g, '')
  const isLoopback = name === 'localhost' || (isIP(name) === 4 && name.startsWith('127.')) || name === '::1'
  return isLoopback || insecureRegistries.includes(host) || insecureRegistries.includes(hostname)
}

/** TLS first, everywhere. */
export function schemesFor(host: string, insecureRegistries: readonly string[]): string[] {
  return allowsHttp(host, insecureRegistries) ? ['https', 'http'] : ['https']
}

export interface FetchOptions {
  headers: Record<string, string>
  signal: AbortSignal | undefined
  insecureRegistries: readonly string[]
}

/**
 * GET with redirects followed by hand: credentials stay with the host that asked for them, and no redirect leads from TLS
 * to a host that may not be spoken to without it. Throws what `fetch` throws, and `IMAGE_REGISTRY`, `IMAGE_INSECURE`.
 */
export async function httpFetch(start: URL, o: FetchOptions): Promise<Response> {
  let url = start
  let headers = o.headers
  for (let count = 0; count <= maximumRedirects; count++) {
    const response = await fetchHeaders(url, headers, o.signal)
    const location = response.headers.get('location')
    if (response.status < 300 || response.status >= 400 || !location) return response
    await response.body?.cancel()
    const next = URL.parse(location, url.href)
    if (!next || !/^https?:$/.test(next.protocol)) {
      throw imageError('IMAGE_REGISTRY', `follow ${url.host}: it leads to ${JSON.stringify(location)}`)
    }
    if (next.protocol === 'http:' && !allowsHttp(next.host, o.insecureRegistries)) {
      throw imageError('IMAGE_INSECURE', `follow ${url.host}: it leads to ${next.host} without TLS`)
    }
    if (next.origin !== url.origin) {
      headers = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'authorization'))
    }
    url = next
  }
  throw imageError('IMAGE_REGISTRY', `follow ${start.host}: more than ${maximumRedirects} redirects`)
}

/** The time limit is for the head of the answer only: a layer may take as long as it keeps coming. */
async function fetchHeaders(
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new Error(`no answer within ${answerWithinMs / 1000} s`)), answerWithinMs)
  try {
    const signals = signal ? [signal, late.signal] : [late.signal]
    return await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.any(signals) })
  } finally {
    clearTimeout(timer)
  }
}
