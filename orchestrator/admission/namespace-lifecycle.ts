/** Source: k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle. */
import { forbidden, notFound, StatusError } from '../api/status.ts'
import type { Namespace } from '../api/types.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'

const immortal = ['default', 'kube-system', 'kube-public']

/** Nothing is made in a namespace that is missing or ends; three namespaces cannot be deleted. */
export function namespaceLifecycle(options: { getNamespace(name: string): Namespace | undefined }): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    mutate(request) {
      const { verb, kind, namespace, name } = request
      if (kind.resource === 'namespaces' && kind.group === '') {
        if (verb === 'delete' && immortal.includes(name))
          throw forbidden(kind, name, 'this namespace may not be deleted')
      } else if (verb === 'create' && namespace !== undefined) {
        refuseUnlessActive(request, { namespace, found: options.getNamespace(namespace) })
      }
    },
  }
}

function refuseUnlessActive(
  request: AdmissionRequest,
  { namespace, found }: { namespace: string; found: Namespace | undefined },
): void {
  if (!found) throw notFound({ group: '', resource: 'namespaces' }, namespace)
  if (found.status?.phase !== 'Terminating' && !found.metadata?.deletionTimestamp) return
  const reason = `unable to create new content in namespace ${namespace} because it is being terminated`
  const { status } = forbidden(request.kind, request.name, reason)
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  }
  throw new StatusError({ ...status, details: { ...status.details, causes: [cause] } })
}
