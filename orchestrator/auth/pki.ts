/**
 * The cluster's own certificate authority. Files lie in one folder, readable by their owner only; what is there is
 * used again. ECDSA P-256 throughout. The certificate library is loaded only when something has to be signed.
 */
import { createPrivateKey, type KeyObject, webcrypto, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '../../runtime/base/clock.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import { authError } from './errors.ts'

export interface KeyPair {
  readonly certificatePem: string
  readonly privateKeyPem: string
}

/** Hands out certificates of this cluster. Nothing is written: keys belong to whoever asked. */
export interface Pki {
  readonly caPem: string
  /** `commonName` is the user, `organizations` are the groups. */
  issueClient(subject: { commonName: string; organizations: readonly string[] }): Promise<KeyPair>
  /** `hosts` are names and IP addresses. It also serves as client certificate, as a kubelet needs it. */
  issueServing(subject: { commonName: string; hosts: readonly string[] }): Promise<KeyPair>
  /** As `issue…`, but kept in the folder under `name` and read from there the next time; made anew when hosts differ. */
  keep(name: string, hosts: readonly string[], issue: () => Promise<KeyPair>): Promise<KeyPair>
}

const day = 24 * 60 * 60 * 1000
const caDays = 3650
const leafDays = 365
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/**
 * Opens the authority in `folder`; makes it the first time. One that is `given` counts instead, and is not kept: its key
 * is P-256 or RSA. Throws BAD_AUTHORITY for one that cannot sign.
 */
export async function openPki(folder: string, clock: Clock, given?: KeyPair): Promise<Pki> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const store = keyStore(folder, clock)
  if (given) refuseUnlessAuthority(given)
  const authority = given ?? store.read('ca') ?? store.write('ca', await newAuthority(clock))
  return {
    caPem: authority.certificatePem,
    issueClient: ({ commonName, organizations }) =>
      issue(authority, clock, { commonName, organizations, hosts: [], usages: ['clientAuth'] }),
    issueServing: ({ commonName, hosts }) =>
      issue(authority, clock, { commonName, organizations: [], hosts, usages: ['serverAuth', 'clientAuth'] }),
    async keep(name, hosts, make) {
      const kept = store.read(name, hosts)
      const isOurs =
        kept && new X509Certificate(kept.certificatePem).verify(new X509Certificate(authority.certificatePem).publicKey)
      return isOurs ? kept : store.write(name, await make(), hosts)
    },
  }
}

function refuseUnlessAuthority({ certificatePem, privateKeyPem }: KeyPair): void {
  try {
    const certificate = new X509Certificate(certificatePem)
    const key = createPrivateKey(privateKeyPem)
    if (!certificate.ca) throw new Error('the certificate is not one of an authority')
    if (!certificate.checkPrivateKey(key)) throw new Error('the key is not that of the certificate')
    signatureOf(key)
  } catch (error) {
    throw authError('BAD_AUTHORITY', `use an authority for certificates: ${messageOf(error)}`, error)
  }
}

/** How a key signs. */
function signatureOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): SignatureAlgorithm {
  if (asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return algorithm
  throw new Error(`its key is of type ${asymmetricKeyType}: neither P-256 nor RSA`)
}

type SignatureAlgorithm = { name: string; hash: string; namedCurve?: string }

interface Kept extends KeyPair {
  readonly hosts: readonly string[]
  readonly expires: number
}

/** One JSON-free layout: `<name>.crt`, `<name>.key`, and `<name>.hosts` for what the certificate was made for. */
function keyStore(folder: string, clock: Clock) {
  const file = (name: string, kind: string) => join(folder, `${name}.${kind}`)
  const writeOwn = (path: string, text: string) => {
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
  /** What somebody else has put there has no note: its certificate says how long it lasts. */
  const noteOf = (name: string): Pick<Kept, 'hosts' | 'expires'> => {
    if (existsSync(file(name, 'made'))) return JSON.parse(readFileSync(file(name, 'made'), 'utf8'))
    const { validTo } = new X509Certificate(readFileSync(file(name, 'crt')))
    return { hosts: [], expires: Date.parse(validTo) }
  }
  return {
    read(name: string, hosts: readonly string[] = []): KeyPair | undefined {
      if (!existsSync(file(name, 'crt')) || !existsSync(file(name, 'key'))) return undefined
      const kept = noteOf(name)
      const isFresh = kept.expires - clock.now() > 30 * day
      if (!isFresh || kept.hosts.join() !== hosts.join()) return undefined
      return {
        certificatePem: readFileSync(file(name, 'crt'), 'utf8'),
        privateKeyPem: readFileSync(file(name, 'key'), 'utf8'),
      }
    },
    write(name: string, pair: KeyPair, hosts: readonly string[] = []): KeyPair {
      const days = name === 'ca' ? caDays : leafDays
      writeOwn(file(name, 'key'), pair.privateKeyPem)
      writeOwn(file(name, 'crt'), pair.certificatePem)
      writeOwn(file(name, 'made'), JSON.stringify({ hosts, expires: clock.now() + days * day }))
      return pair
    },
  }
}

export async function loadX509() {
  // The library's container of algorithms does not load without this polyfill.
  await import('reflect-metadata')
  return await import('@peculiar/x509')
}

async function newAuthority(clock: Clock): Promise<KeyPair> {
  const x509 = await loadX509()
  const keys = await newKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=coracle-ca',
    ...validity(clock, caDays),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificatePem: certificate.toString('pem'), privateKeyPem: await privatePem(keys) }
}

interface Leaf {
  commonName: string
  organizations: readonly string[]
  hosts: readonly string[]
  usages: readonly ('clientAuth' | 'serverAuth')[]
}

async function issue(authority: KeyPair, clock: Clock, leaf: Leaf): Promise<KeyPair> {
  const x509 = await loadX509()
  const issuer = new x509.X509Certificate(authority.certificatePem)
  const keys = await newKeys()
  const signing = signingKey(authority.privateKeyPem)
  const names = leaf.hosts.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value }))
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ O: [...leaf.organizations] }, { CN: [leaf.commonName] }].filter(
      (part) => Object.values(part)[0]?.length,
    ),
    issuer: issuer.subject,
    ...validity(clock, leafDays),
    signingAlgorithm: signing.algorithm,
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', signing.der, signing.algorithm, false, ['sign']),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(leaf.usages.map((usage) => x509.ExtendedKeyUsage[usage])),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  })
  return { certificatePem: certificate.toString('pem'), privateKeyPem: await privatePem(keys) }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>
}

/** A clock that is a little wrong on another machine must not make a fresh certificate invalid. */
function validity(clock: Clock, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(clock.now() - day / 24), notAfter: new Date(clock.now() + days * day) }
}

function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16))
  return Buffer.from([(bytes[0] ?? 0) & 0x7f, ...bytes.subarray(1)]).toString('hex')
}

async function privatePem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

function signingKey(pem: string): { algorithm: SignatureAlgorithm; der: Uint8Array<ArrayBuffer> } {
  const key = createPrivateKey(pem)
  return { algorithm: signatureOf(key), der: new Uint8Array(key.export({ type: 'pkcs8', format: 'der' })) }
}
