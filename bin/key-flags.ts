/** Keys that several servers of one cluster share; the names are those of kube-apiserver and kube-controller-manager. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { SharedKeys } from '../orchestrator/index.ts'
import { CoracleError, messageOf } from '../runtime/base/errors.ts'

export interface KeyFlags {
  clusterSigningCertFile?: string
  clusterSigningKeyFile?: string
  clientCaFile?: string
  serviceAccountSigningKeyFile?: string
  /** One or more. */
  serviceAccountKeyFile?: string[]
}

const also = (file: string, before: string[] = []) => [...before, file]

export function addKeyOptions(command: Command): Command {
  return command
    .option('--cluster-signing-cert-file <file>', 'the authority that signs certificates; one is made unless given')
    .option('--cluster-signing-key-file <file>', 'the key of that authority')
    .option('--client-ca-file <file>', 'authorities whose client certificates are believed, besides our own')
    .option('--service-account-signing-key-file <file>', 'signs tokens of service accounts; one is made unless given')
    .option('--service-account-key-file <file>', 'whose tokens are believed besides; may be given several times', also)
}

/** Reads the files that the flags name. Throws BAD_FLAG for what cannot be read or does not go together. */
export function sharedKeysOf(flags: KeyFlags): { sharedKeys?: SharedKeys } {
  const certificatePem = textOf('--cluster-signing-cert-file', flags.clusterSigningCertFile)
  const privateKeyPem = textOf('--cluster-signing-key-file', flags.clusterSigningKeyFile)
  if ((certificatePem === undefined) !== (privateKeyPem === undefined)) {
    throw badFlag('--cluster-signing-cert-file and --cluster-signing-key-file: neither is of use without the other')
  }
  const clientCaPem = textOf('--client-ca-file', flags.clientCaFile)
  const tokenSigningKeyPem = textOf('--service-account-signing-key-file', flags.serviceAccountSigningKeyFile)
  const name = '--service-account-key-file'
  const tokenKeyPems = (flags.serviceAccountKeyFile ?? []).map((file) => textOf(name, file) ?? '')
  const sharedKeys: SharedKeys = {
    ...(certificatePem && privateKeyPem ? { authority: { certificatePem, privateKeyPem } } : {}),
    ...(clientCaPem ? { clientCaPem } : {}),
    ...(tokenSigningKeyPem ? { tokenSigningKeyPem } : {}),
    ...(tokenKeyPems.length > 0 ? { tokenKeyPems } : {}),
  }
  return Object.keys(sharedKeys).length > 0 ? { sharedKeys } : {}
}

function textOf(flag: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw badFlag(`${flag} ${path}: ${messageOf(error)}`)
  }
}

function badFlag(message: string): CoracleError {
  return new CoracleError(message, { code: 'BAD_FLAG' })
}
