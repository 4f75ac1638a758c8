import { examineHost, type Finding } from '../runtime/container/doctor.ts'
import { print } from './oci-act.ts'

/** Prints what `examineHost` found; 1 only if no container can run here at all. */
export function tellDoctor(asJson: boolean): number {
  const findings = examineHost()
  print(asJson ? JSON.stringify(findings, null, 2) : findings.map(line).join('\n'))
  const fatal = findings.filter(({ state }) => state === 'fatal')
  if (!asJson) print(`\n${verdict(findings, fatal)}`)
  return fatal.length > 0 ? 1 : 0
}

const marks = { fine: 'ok  ', lacking: 'lack', fatal: 'FAIL' } as const

function line({ what, state, found, costs }: Finding): string {
  return `${marks[state]}  ${what.padEnd(30)}  ${found}${costs ? `\n${' '.repeat(6)}→ ${costs}` : ''}`
}

function verdict(all: readonly Finding[], fatal: readonly Finding[]): string {
  if (fatal.length > 0) return `No container can run here: ${fatal.map(({ what }) => what).join(', ')}.`
  const lacking = all.filter(({ state }) => state === 'lacking').length
  return lacking === 0 ? 'Nothing is missing.' : `Containers can run; ${lacking} things are missing.`
}
