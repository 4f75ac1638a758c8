/** `--store` and what belongs to it; the names of the others are kube-apiserver's where it has them. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { StoreChoice } from '../orchestrator/index.ts'
import { CoracleError, messageOf } from '../runtime/base/errors.ts'

export interface StoreFlags {
  /** `embedded`, or `etcd=URL,URL…` */
  store: string
  etcdCafile?: string
  etcdCertfile?: string
  etcdKeyfile?: string
  etcdUser?: string
  etcdPasswordFile?: string
}

const files = ['etcdCafile', 'etcdCertfile', 'etcdKeyfile', 'etcdPasswordFile'] as const

export function addStoreOptions(command: Command): Command {
  return command
    .option('--store <store>', 'where objects are kept: embedded, or etcd=https://a:2379,https://b:2379', 'embedded')
    .option('--etcd-cafile <file>', 'the authority that signs certificates of etcd')
    .option('--etcd-certfile <file>', 'our certificate for etcd')
    .option('--etcd-keyfile <file>', 'the key of that certificate')
    .option('--etcd-user <name>', 'who we are to etcd, where it has users')
    .option('--etcd-password-file <file>', 'the password of that user')
}

/** Only what concerns the store, with absolute paths: as it is kept in the data directory. */
export function storeFlagsOf(flags: StoreFlags): StoreFlags {
  const { store, etcdUser } = flags
  const paths = files.flatMap((name) => (flags[name] === undefined ? [] : [[name, resolve(flags[name])] as const]))
  return { store, ...(etcdUser === undefined ? {} : { etcdUser }), ...Object.fromEntries(paths) }
}

/** Reads the files that the flags name. Throws BAD_FLAG for what does not go together. */
export function storeChoice(flags: StoreFlags): StoreChoice {
  const { store, etcdUser } = flags
  if (store === 'embedded') {
    const stray = [...files, 'etcdUser' as const].find((name) => flags[name] !== undefined)
    if (stray !== undefined) throw badFlag(`--${kebab(stray)}: the embedded store has no use for it`)
    return { kind: 'embedded' }
  }
  const endpoints = endpointsOf(store)
  const tls = {
    ...part('ca', flags, 'etcdCafile'),
    ...part('cert', flags, 'etcdCertfile'),
    ...part('key', flags, 'etcdKeyfile'),
  }
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw badFlag('--etcd-certfile and --etcd-keyfile: neither is of use without the other')
  }
  const isSecure = endpoints[0]?.startsWith('https:')
  if (!isSecure && Object.keys(tls).length > 0) throw badFlag(`--store ${store}: certificates are of no use with http`)
  if ((etcdUser === undefined) !== (flags.etcdPasswordFile === undefined)) {
    throw badFlag('--etcd-user and --etcd-password-file: neither is of use without the other')
  }
  const { password } = part('password', flags, 'etcdPasswordFile')
  const user = etcdUser === undefined ? {} : { user: { name: etcdUser, password: `${password}`.trimEnd() } }
  return { kind: 'etcd', endpoints, ...(isSecure ? { tls } : {}), ...user }
}

/** What was said of the first one holds for those that do not say: `https://a:2379,b:2379`. */
function endpointsOf(store: string): string[] {
  const list = /^etcd=(.+)$/.exec(store)?.[1]?.split(',') ?? []
  const scheme = /^https?:\/\//.exec(list[0] ?? '')?.[0]
  const endpoints = list.map((url) => (/^\w+:\/\//.test(url) ? url : `${scheme}${url}`))
  const isRight = (url: string) => /^https?:\/\/(\[[0-9a-f:]+\]|[\w.-]+):\d{1,5}$/i.test(url)
  if (endpoints.length === 0 || !endpoints.every(isRight) || !endpoints.every((url) => url.startsWith(`${scheme}`))) {
    throw badFlag(`--store ${store}: neither 'embedded' nor etcd=https://HOST:PORT,…, all https or all http`)
  }
  return endpoints
}

function part<Name extends string>(
  as: Name,
  flags: StoreFlags,
  flag: (typeof files)[number],
): { [Key in Name]?: Buffer } {
  const path = flags[flag]
  if (path === undefined) return {}
  try {
    return { [as]: readFileSync(path) } as { [Key in Name]?: Buffer }
  } catch (error) {
    throw badFlag(`--${kebab(flag)} ${path}: ${messageOf(error)}`)
  }
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

function badFlag(message: string): CoracleError {
  return new CoracleError(message, { code: 'BAD_FLAG' })
}
