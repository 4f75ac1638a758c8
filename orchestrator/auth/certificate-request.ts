import { loadX509 } from './pki.ts'

/** The organizations (groups, to this server) that a PKCS#10 request in PEM names. Throws when it is none. */
export async function organizationsOf(pem: string): Promise<string[]> {
  const { Pkcs10CertificateRequest } = await loadX509()
  return new Pkcs10CertificateRequest(pem).subjectName.getField('O')
}
