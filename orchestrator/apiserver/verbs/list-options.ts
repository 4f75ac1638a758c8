/**
 * What may be asked of a list and of a watch together. What each combination then means is in the table of
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions and in KEP-3157.
 * Source: k8s.io/apimachinery/pkg/apis/meta/internalversion/{defaults.go,validation}.
 */
import { invalid } from '../../api/status.ts'
import { notAllowed, type Problem, unsupported } from '../../api/validate/problem.ts'

export interface RevisionQuery {
  readonly resourceVersion?: string
  readonly resourceVersionMatch?: string
  readonly continue?: string
  readonly sendInitialEvents?: boolean
}

const match = 'resourceVersionMatch'

/** Throws INVALID. */
export function checkList(query: RevisionQuery): void {
  const problems = query.resourceVersionMatch ? problemsOfMatch(query) : []
  const stray = query.sendInitialEvents === undefined ? [] : [strayEvents]
  refuse([...problems, ...stray])
}

const strayEvents = notAllowed('sendInitialEvents', 'sendInitialEvents is forbidden for list')

function problemsOfMatch({
  resourceVersion,
  resourceVersionMatch,
  continue: token,
}: RevisionQuery): readonly Problem[] {
  return [
    ...(resourceVersion ? [] : [notAllowed(match, `${match} is forbidden unless resourceVersion is provided`)]),
    ...(token ? [notAllowed(match, `${match} is forbidden when continue is provided`)] : []),
    ...(resourceVersionMatch === 'Exact' || resourceVersionMatch === 'NotOlderThan'
      ? []
      : [unsupported(match, resourceVersionMatch, ['Exact', 'NotOlderThan', ''])]),
    ...(resourceVersionMatch === 'Exact' && resourceVersion === '0'
      ? [notAllowed(match, `${match} "exact" is forbidden for resourceVersion "0"`)]
      : []),
  ]
}

/** Throws INVALID. */
export function checkWatch(query: RevisionQuery): void {
  const { resourceVersionMatch, sendInitialEvents, continue: token } = query
  const isRight = resourceVersionMatch === 'NotOlderThan'
  const problems: Problem[] = []
  if (sendInitialEvents !== undefined && !isRight) {
    problems.push(notAllowed(match, `sendInitialEvents requires setting ${match} to NotOlderThan`))
  }
  if (resourceVersionMatch) {
    if (sendInitialEvents === undefined) {
      problems.push(notAllowed(match, `${match} is forbidden for watch unless sendInitialEvents is provided`))
    }
    if (!isRight) problems.push(unsupported(match, resourceVersionMatch, ['NotOlderThan']))
    if (token) problems.push(notAllowed(match, `${match} is forbidden when continue is provided`))
  }
  refuse(problems)
}

/** Who watches from nowhere, or from anywhere, is sent the state first, whether he asks for it or not. */
export function startsWithState({ sendInitialEvents, resourceVersion = '' }: RevisionQuery): boolean {
  return sendInitialEvents ?? (resourceVersion === '' || resourceVersion === '0')
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', problems)
}
