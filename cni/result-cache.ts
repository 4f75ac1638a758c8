import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from '../runtime/base/errors.ts'
import type { Attachment } from './attachment.ts'
import type { ConfigList } from './conf.ts'
import { type CniResult, formatResult, parseResult } from './result.ts'

/**
 * What ADD returned, for DEL and CHECK, after a restart too: `<stateDir>/results/<network>-<container>-<interface>` in
 * the format of libcni ("cniCacheV1"), so that cnitool, podman and containerd read ours and we read theirs.
 */
export interface ResultCache {
  write(attachment: Attachment, result: CniResult): void
  read(attachment: Pick<Attachment, 'containerId' | 'ifname'>): Cached | undefined
  remove(attachment: Pick<Attachment, 'containerId' | 'ifname'>): void
  list(): Cached[]
}

/** An attachment as it was when ADD succeeded, with what ADD said. */
export interface Cached extends Attachment {
  result: CniResult
}

interface CacheFile {
  kind: 'cniCacheV1'
  containerId: string
  /** The configuration list, base64. */
  config: string
  ifName: string
  networkName: string
  netns?: string
  cniArgs?: [string, string][]
  capabilityArgs?: Record<string, unknown>
  result: unknown
}

/** The cache of one network below `stateDir`. Files are for root alone: arguments may be secrets. */
export function openResultCache(stateDir: string, network: ConfigList): ResultCache {
  const directory = join(stateDir, 'results')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const fileOf = ({ containerId, ifname }: Pick<Attachment, 'containerId' | 'ifname'>) =>
    join(directory, `${network.name}-${containerId}-${ifname}`)
  return {
    write(attachment, result) {
      const file = fileOf(attachment)
      writeFileSync(`${file}.tmp`, JSON.stringify(toFile(network, attachment, result)), { mode: 0o600 })
      renameSync(`${file}.tmp`, file)
    },
    read: (attachment) => readCached(fileOf(attachment), network),
    remove: (attachment) => rmSync(fileOf(attachment), { force: true }),
    list: () =>
      readdirSync(directory)
        .filter((name) => name.startsWith(`${network.name}-`) && !name.endsWith('.tmp'))
        .flatMap((name) => readCached(join(directory, name), network) ?? []),
  }
}

function toFile(network: ConfigList, attachment: Attachment, result: CniResult): CacheFile {
  return {
    kind: 'cniCacheV1',
    containerId: attachment.containerId,
    config: Buffer.from(JSON.stringify(network)).toString('base64'),
    ifName: attachment.ifname,
    networkName: network.name,
    netns: attachment.netns,
    cniArgs: Object.entries(attachment.args ?? {}),
    capabilityArgs: { ...attachment.capabilities },
    result: formatResult(result, network.cniVersion),
  }
}

/** Undefined when there is no such file, and when it is another network's whose name begins like ours. */
function readCached(file: string, network: ConfigList): Cached | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
  const cached = decode(text)
  if (cached?.networkName !== network.name) return undefined
  return {
    containerId: cached.containerId,
    ifname: cached.ifName,
    netns: cached.netns ?? '',
    args: Object.fromEntries(cached.cniArgs ?? []),
    capabilities: cached.capabilityArgs ?? {},
    result: parseResult(cached.result, network.cniVersion),
  }
}

/** A file that a power failure cut short says nothing; DEL must go on without it. */
function decode(text: string): CacheFile | undefined {
  try {
    const cached = JSON.parse(text) as CacheFile
    return cached.kind === 'cniCacheV1' ? cached : undefined
  } catch {
    return undefined
  }
}
