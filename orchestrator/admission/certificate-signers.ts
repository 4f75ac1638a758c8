/**
 * Who approves and signs certificates, and what nobody gets one for.
 * Source: k8s.io/kubernetes/plugin/pkg/admission/certificates/{approval,signing,subjectrestriction}.
 */
import { messageOf } from '../../runtime/base/errors.ts'
import { isEqual } from '../api/equal.ts'
import { forbidden } from '../api/status.ts'
import type { CertificateSigningRequest } from '../api/types.ts'
import { mastersGroup, type User } from '../api/user.ts'
import { certificateRequestIn } from '../api/validate/certificate.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'

/** May the user approve or sign for `signers` of this name? */
export type IsSigner = (user: User, verb: 'approve' | 'sign', name: string) => boolean

/** Only who may `approve` for the signer approves or denies. */
export function certificateApproval(isSigner: IsSigner): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    validate(request) {
      if (isChange(request, 'approval')) refuseUnlessSigner(request, isSigner, 'approve')
    },
  }
}

/** Only who may `sign` for the signer sets a certificate, or says that there will be none. */
export function certificateSigning(isSigner: IsSigner): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    validate(request) {
      if (!isChange(request, 'status')) return
      const [before, now] = [request.old, request.object].map((each) => (each as CertificateSigningRequest).status)
      const isSame =
        before?.certificate === now?.certificate && isEqual(before?.conditions ?? [], now?.conditions ?? [])
      if (!isSame) refuseUnlessSigner(request, isSigner, 'sign')
    },
  }
}

const clientSigner = 'kubernetes.io/kube-apiserver-client'

/**
 * Nobody becomes a member of system:masters by a certificate that he asks for here. `organizationsOf` reads them from a
 * PKCS#10 request in DER, and throws when it is none.
 */
export function certificateSubjectRestriction(
  organizationsOf: (der: Uint8Array<ArrayBuffer>) => Promise<readonly string[]>,
): AdmissionPlugin {
  return {
    name: 'CertificateSubjectRestriction',
    async validate({ kind, verb, name, subresource, object }) {
      if (!isRequestKind({ kind }) || verb !== 'create' || subresource) return
      const { signerName, request } = (object as CertificateSigningRequest).spec
      if (signerName !== clientSigner) return
      const unread = (reason: string) => forbidden(kind, name, `failed to parse CSR: ${reason}`)
      const der = certificateRequestIn(request)
      if (!der) throw unread('PEM block type must be CERTIFICATE REQUEST')
      const organizations = await organizationsOf(new Uint8Array(der)).catch((error: unknown) => {
        throw unread(messageOf(error))
      })
      if (!organizations.includes(mastersGroup)) return
      throw forbidden(kind, name, `use of ${clientSigner} signer with ${mastersGroup} group is not allowed`)
    },
  }
}

const isRequestKind = ({ kind }: Pick<AdmissionRequest, 'kind'>) =>
  kind.group === 'certificates.k8s.io' && kind.resource === 'certificatesigningrequests'

function isChange(request: AdmissionRequest, subresource: 'approval' | 'status'): boolean {
  return isRequestKind(request) && request.verb === 'update' && request.subresource === subresource
}

function refuseUnlessSigner({ kind, name, user, old }: AdmissionRequest, isSigner: IsSigner, verb: 'approve' | 'sign') {
  const { signerName } = (old as CertificateSigningRequest).spec
  const domain = signerName.split('/')[0]
  if (isSigner(user, verb, signerName) || isSigner(user, verb, `${domain}/*`)) return
  throw forbidden(kind, name, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signerName)}`)
}
