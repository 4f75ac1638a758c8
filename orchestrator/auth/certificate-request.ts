import { loadX509 } from './pki.ts'

/** The organizations (groups, to this server) that a PKCS#10 request in DER names. Throws when it is none. */
export async function organizationsOf(der: Uint8Array<ArrayBuffer>): Promise<string[]> {
  const { Pkcs10CertificateRequest } = await loadX509()
  return new Pkcs10CertificateRequest(der).subjectName.getField('O')
}
