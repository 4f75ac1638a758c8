import { signingRequestPrinter } from '../print/cluster.ts'
import type { CertificateSigningRequest } from '../types.ts'
import type { User } from '../user.ts'
import { validateApproval, validateSigningRequest, validateSigningRequestUpdate } from '../validate/certificate.ts'
import { inGroup, specAndStatus, withoutGeneration } from './define.ts'
import { statusSubresource } from './kind.ts'

const certificates = inGroup('certificates.k8s.io', 'v1', 'io.k8s.api.certificates.v1.')

/** Of the status the conditions alone: certificates are the signer's, the wish is the asker's. */
function keepAllButConditions(request: CertificateSigningRequest, old: CertificateSigningRequest): void {
  const conditions = request.status?.conditions
  request.spec = old.spec
  request.status = { ...old.status, ...(conditions ? { conditions } : {}) }
}

function askerOf({ name, uid, groups, extra }: User) {
  const more = Object.entries(extra ?? {}).map(([key, values]) => [key, [...values]])
  return {
    username: name,
    groups: [...groups],
    ...(uid ? { uid } : {}),
    ...(more.length > 0 ? { extra: Object.fromEntries(more) } : {}),
  }
}

export const certificateSigningRequestKind = certificates<CertificateSigningRequest>({
  kind: 'CertificateSigningRequest',
  resource: 'certificatesigningrequests',
  shortNames: ['csr'],
  namespaced: false,
  printer: signingRequestPrinter,
  subresources: [{ name: 'approval', verbs: ['get', 'patch', 'update'] }, statusSubresource],
  strategy: {
    ...withoutGeneration(specAndStatus<CertificateSigningRequest>(() => ({}))),
    beforeCreate(request, { user }) {
      request.status = {}
      // Who asks is what the server knows, not what the request says.
      const { username: _n, uid: _u, groups: _g, extra: _e, ...wish } = request.spec
      request.spec = { ...wish, ...askerOf(user) }
    },
    through: { approval: { before: keepAllButConditions, validate: validateApproval } },
    validate: validateSigningRequest,
    validateUpdate: validateSigningRequestUpdate,
    fields: { 'spec.signerName': ({ spec }) => spec.signerName },
  },
})
