/**
 * Writes docs/support.md from the table of kinds and from `../support.ts`; a test compares.
 *
 *     node orchestrator/api/generate/support-page.ts docs/support.md
 */
import { writeFileSync } from 'node:fs'
import type { Kind } from '../kinds/kind.ts'
import { apiVersionOf, builtInKinds } from '../kinds/table.ts'
import { allGaps } from '../support.ts'

/** The whole page. */
export function supportPage(): string {
  return `${[
    '# What is covered',
    '',
    'Written from `orchestrator/api/kinds` and `orchestrator/api/support.ts`. What is not listed as a gap works as in',
    'Kubernetes 1.36. A field without effect is answered with a `Warning`; what would be wrong to accept is refused.',
    '',
    '## Kinds',
    '',
    '| kind | API | verbs | subresources |',
    '|---|---|---|---|',
    ...builtInKinds.map(kindRow),
    '',
    '## Gaps',
    '',
    '| kind | field | covered | what happens |',
    '|---|---|---|---|',
    ...allGaps.map(
      ({ kind, field, covered, how }) => `| ${kind === '*' ? 'all' : kind} | \`${field}\` | ${covered} | ${how} |`,
    ),
  ].join('\n')}\n`
}

function kindRow(kind: Kind): string {
  const subresources = kind.subresources.map(({ name }) => name).join(', ')
  return `| ${kind.kind} | ${apiVersionOf(kind)} | ${kind.verbs.join(', ')} | ${subresources} |`
}

const [file] = process.argv.slice(2)
if (import.meta.main && file !== undefined) writeFileSync(file, supportPage())
