import { BlockList, isIP } from 'node:net'

/** Proxies as the environment names them: addresses, and what is reached without one. */
export interface Proxies {
  /** For `http:` addresses. */
  http?: string | undefined
  /** For `https:` addresses. */
  https?: string | undefined
  /** Comma-separated: names (with everything below them), `*`, IP addresses, networks; each may end in `:port`. */
  noProxy?: string | undefined
}

/**
 * The proxy through which `url` is reached. The rules are Go's (golang.org/x/net/http/httpproxy), which the other
 * container tools follow: loopback is never behind a proxy.
 */
export function proxyFor(url: URL, { http, https, noProxy = '' }: Proxies): string | undefined {
  const proxy = url.protocol === 'https:' ? https : http
  if (!proxy || isLoopback(url.hostname)) return undefined
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  const host = bare(url.hostname)
  return noProxy.split(',').some((rule) => matches(rule.trim().toLowerCase(), host, port)) ? undefined : proxy
}

/** True for addresses of this machine's loopback, and `localhost`. */
export function isLoopback(hostname: string): boolean {
  const name = bare(hostname)
  return name === 'localhost' || (isIP(name) === 4 && name.startsWith('127.')) || name === '::1'
}

function matches(rule: string, host: string, port: string): boolean {
  if (rule === '') return false
  if (rule === '*') return true
  if (rule.includes('/')) return inNetwork(rule, host)
  const [, name = '', rulePort] = /^(\[.*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(rule) ?? []
  if (rulePort !== undefined && rulePort !== port) return false
  const wanted = bare(name).replace(/^\*?\./, '.')
  if (wanted.startsWith('.')) return host.endsWith(wanted)
  return host === wanted || (isIP(host) === 0 && host.endsWith(`.${wanted}`))
}

function inNetwork(rule: string, host: string): boolean {
  const [address = '', bits] = rule.split('/')
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (isIP(address) === 0 || isIP(host) !== isIP(address)) return false
  const list = new BlockList()
  try {
    list.addSubnet(address, Number(bits), family)
  } catch {
    // A network that is none excludes nothing.
    return false
  }
  return list.check(host, family)
}

const bare = (hostname: string) => hostname.toLowerCase().replace(/^\[|\]$/g, '')
