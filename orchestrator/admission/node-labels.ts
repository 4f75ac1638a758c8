/** Which of its own labels a node may set. Source: k8s.io/kubelet/pkg/apis/well_known_labels.go, KEP-279. */

const restricted = 'node-restriction.kubernetes.io'
const ofKubelets = [
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
]
const prefixesOfKubelets = ['kubelet.kubernetes.io', 'node.kubernetes.io']

type Labels = Readonly<Record<string, string>>

/** What a node must not do to its labels, as the end of a sentence; undefined when all is well. `old` is unset for a new node. */
export function labelProblem(labels: Labels, old: Labels | undefined): string | undefined {
  const keys = [...new Set([...Object.keys(labels), ...Object.keys(old ?? {})])]
  const changed = keys.filter((key) => labels[key] !== old?.[key])
  const wrong = changed.filter((key) => isForbidden(key, old !== undefined)).sort()
  if (wrong.length === 0) return undefined
  return `${old ? 'modify labels' : 'set the following labels'}: ${wrong.join(', ')}`
}

/** A new node brings what its kubelet was started with; later it keeps to what is known. */
function isForbidden(key: string, isUpdate: boolean): boolean {
  const slash = key.indexOf('/')
  if (slash < 0) return false
  const domain = key.slice(0, slash)
  if (isWithin(domain, restricted)) return true
  if (!isUpdate || !(isWithin(domain, 'kubernetes.io') || isWithin(domain, 'k8s.io'))) return false
  return !ofKubelets.includes(key) && !prefixesOfKubelets.some((prefix) => isWithin(domain, prefix))
}

const isWithin = (domain: string, parent: string) => domain === parent || domain.endsWith(`.${parent}`)
