/**
 * The rules for names, each as a function that returns what is wrong with a value: an empty list when nothing is.
 * Messages as in k8s.io/apimachinery/pkg/util/validation/validation.go, because people search for them.
 */

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const label1123 = new RegExp(`^${label}$`)
const subdomain = new RegExp(`^${label}(\\.${label})*$`)
const label1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/
const envName = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/
const relaxedEnvName = /^[ -<>-~]+$/
const configKey = /^[-._a-zA-Z0-9]+$/

const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const label1035Rule =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
const qualifiedNameRule =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
const labelValueRule =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

const tooLong = (limit: number) => `must be no more than ${limit} characters`

/** What is wrong with a name; nothing most often. */
export type CheckName = (value: string) => readonly string[]

const none: readonly string[] = []

function check(value: string, rule: { limit: number; pattern: RegExp; message: string }): readonly string[] {
  const isMatch = rule.pattern.test(value)
  if (value.length > rule.limit) return isMatch ? [tooLong(rule.limit)] : [tooLong(rule.limit), rule.message]
  return isMatch ? none : [rule.message]
}

/** For namespaces, containers, volumes. */
export function checkDnsLabel(value: string): readonly string[] {
  return check(value, { limit: 63, pattern: label1123, message: labelRule })
}

/** For most objects. */
export function checkDnsSubdomain(value: string): readonly string[] {
  return check(value, { limit: 253, pattern: subdomain, message: subdomainRule })
}

/** For Services. */
export function checkDns1035Label(value: string): readonly string[] {
  return check(value, { limit: 63, pattern: label1035, message: label1035Rule })
}

/** For label keys, and annotation keys in lower case. */
export function checkQualifiedName(value: string): readonly string[] {
  const slash = value.indexOf('/')
  if (slash >= 0 && value.includes('/', slash + 1)) {
    return [
      "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
    ]
  }
  const ofPrefix = slash < 0 ? none : checkPrefix(value.slice(0, slash))
  const name = slash < 0 ? value : value.slice(slash + 1)
  if (ofPrefix.length === 0 && name.length <= 63 && qualifiedName.test(name)) return none
  const reasons = [...ofPrefix]
  if (name === '') reasons.push('name part must be non-empty')
  if (name.length > 63) reasons.push(`name part ${tooLong(63)}`)
  if (!qualifiedName.test(name)) reasons.push(qualifiedNameRule)
  return reasons
}

function checkPrefix(prefix: string): readonly string[] {
  if (prefix === '') return ['prefix part must be non-empty']
  const reasons = checkDnsSubdomain(prefix)
  return reasons.length === 0 ? none : reasons.map((reason) => `prefix part ${reason}`)
}

/** For label values. */
export function checkLabelValue(value: string): readonly string[] {
  return check(value, { limit: 63, pattern: labelValue, message: labelValueRule })
}

/** For names of environment variables; Kubernetes allows all printable ASCII but '=' since 1.34. */
export function checkEnvName(value: string): readonly string[] {
  if (relaxedEnvName.test(value) || envName.test(value)) return []
  return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
}

/** For the keys of ConfigMaps and Secrets. */
export function checkConfigKey(value: string): readonly string[] {
  const rule =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
  if (configKey.test(value) && value.length <= 253 && !value.startsWith('.')) return none
  const dots = value === '.' || value === '..' ? [`must not be '${value}'`] : []
  const parent = value !== '..' && value.startsWith('..') ? [`must not start with '..'`] : []
  return [...check(value, { limit: 253, pattern: configKey, message: rule }), ...dots, ...parent]
}

/** For names of ports: 15 characters, a letter among them. */
export function checkPortName(value: string): readonly string[] {
  const problems: string[] = []
  if (value.length > 15) problems.push(tooLong(15))
  if (!/^[-a-z0-9]+$/.test(value))
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  if (!/[a-z]/.test(value)) problems.push('must contain at least one letter (a-z)')
  if (value.includes('--')) problems.push('must not contain consecutive hyphens')
  if (value.startsWith('-') || value.endsWith('-')) problems.push('must not begin or end with a hyphen')
  return problems
}

/** For names that are only ever one segment of a path: those of roles, which are full of colons. */
export function checkPathSegment(value: string): readonly string[] {
  if (value === '.' || value === '..') return [`may not be '${value}'`]
  return ['/', '%'].filter((each) => value.includes(each)).map((each) => `may not contain '${each}'`)
}
