import { isIP } from 'node:net'
import { imageError } from './errors.ts'

const maximumRedirects = 5
const answerWithinMs = 60_000
/** A layer that is sent is answered when all of it has arrived. */
const sentWithinMs = 3_600_000

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
  /** GET when left out. */
  method?: string
  body?: Uint8Array | ReadableStream
  headers: Record<string, string>
  signal: AbortSignal | undefined
  insecureRegistries: readonly string[]
}

/**
 * A request with redirects followed by hand (not those of a body, which could not be sent twice): credentials stay with the host that asked for them, and no redirect leads from TLS
 * to a host that may not be spoken to without it. Throws what `fetch` throws, and `IMAGE_REGISTRY`, `IMAGE_INSECURE`.
 */
export async function httpFetch(start: URL, o: FetchOptions): Promise<Response> {
  let url = start
  let headers = o.headers
  if (url.protocol === 'http:' && !allowsHttp(url.host, o.insecureRegistries)) {
    throw imageError('IMAGE_INSECURE', `reach ${url.host}: it has no TLS`)
  }
  for (let count = 0; count <= maximumRedirects; count++) {
    const response = await fetchHeaders(url, { ...o, headers })
    const location = response.headers.get('location')
    if (o.body || response.status < 300 || response.status >= 400 || !location) return response
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
async function fetchHeaders(url: URL, { method = 'GET', headers, body, signal }: FetchOptions): Promise<Response> {
  const late = new AbortController()
  const limitMs = body ? sentWithinMs : answerWithinMs
  const timer = setTimeout(() => late.abort(new Error(`no answer within ${limitMs / 1000} s`)), limitMs)
  try {
    const signals = signal ? [signal, late.signal] : [late.signal]
    const common = { method, headers, redirect: 'manual' as const, signal: AbortSignal.any(signals) }
    return await fetch(url, body ? ({ ...common, body, duplex: 'half' } as RequestInit) : common)
  } finally {
    clearTimeout(timer)
  }
}
