import type { CertificateSigningRequest } from '../types.ts'
import { inGroup, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const certificates = inGroup('certificates.k8s.io', 'v1', 'io.k8s.api.certificates.v1.')

export const certificateSigningRequestKind = certificates<CertificateSigningRequest>({
  kind: 'CertificateSigningRequest',
  resource: 'certificatesigningrequests',
  shortNames: ['csr'],
  namespaced: false,
  subresources: [{ name: 'approval', verbs: ['get', 'patch', 'update'] }, statusSubresource],
  strategy: { ...specAndStatus<CertificateSigningRequest>(() => ({})) },
})
