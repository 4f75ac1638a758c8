import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { cgroups } from '../runtime/cgroups/driver.ts'
import { birthOf } from '../runtime/container/create.ts'
import { features } from '../runtime/container/features.ts'
import { type ContainerState, listStates, stateOf } from '../runtime/container/state.ts'
import { defaultSpec } from '../runtime/spec/default-spec.ts'
import { listing } from '../runtime/tape/listing.ts'
import { type Act, type Place, print, specOf, warn } from './oci-act.ts'

/** The commands that only look: state list ps features spec explain. */
export function looking(oci: Command, place: Place, act: Act): void {
  oci
    .command('state <id>')
    .description('print the state as JSON')
    .action(act((id: string) => print(JSON.stringify(ociState(stateOf(place().root, id)), null, 2))))
  oci
    .command('list')
    .description('list containers')
    .option('-f, --format <format>', 'table or json', 'table')
    .option('-q, --quiet', 'ids only')
    .action(
      act(({ format, quiet }: { format: string; quiet?: boolean }) => {
        const states = listStates(place().root)
        if (quiet) print(states.map(({ id }) => id).join('\n'))
        else if (format === 'json') print(JSON.stringify(states.map(listRow)))
        else
          print(
            table(
              ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
              states.map((state) => Object.values(listRow(state)).slice(1, 6).concat('root')),
            ),
          )
      }),
    )
  oci
    .command('ps <id>')
    .description('list the processes of a container')
    .option('-f, --format <format>', 'table or json', 'table')
    .action(
      act((id: string, { format }: { format: string }) => {
        const pids = cgroups().pids(stateOf(place().root, id).cgroupPath)
        if (format === 'json') return print(JSON.stringify(pids))
        const name = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
        return print(
          table(
            ['PID', 'CMD'],
            pids.map((pid) => [String(pid), name(pid)]),
          ),
        )
      }),
    )
  describing(oci, place, act)
}

function describing(oci: Command, place: Place, act: Act): void {
  oci
    .command('features')
    .description('print what this runtime supports')
    .action(act(() => print(JSON.stringify(features(), null, 2))))
  oci
    .command('spec')
    .description('write a default config.json')
    .option('-b, --bundle <path>', 'folder to write to', '.')
    .action(
      act(({ bundle }: { bundle: string }) => {
        writeFileSync(`${bundle}/config.json`, `${JSON.stringify(defaultSpec(), null, 2)}\n`, { flag: 'wx' })
      }),
    )
  oci
    .command('explain <bundle>')
    .description('print every system call that would make the container; touches nothing')
    .action(
      act((bundle: string) => {
        const { tape, warnings } = birthOf({ root: place().root }, 'explained', {
          spec: specOf(bundle),
          bundle: resolve(bundle),
        })
        for (const warning of warnings) warn(warning)
        print(listing(tape).trimEnd())
      }),
    )
}

/** The state as the runtime-spec has it. */
function ociState(state: ContainerState): Record<string, unknown> {
  const { id, status, pid = 0, bundle = '', annotations } = state
  return { ociVersion: '1.3.0', id, status, pid, bundle, annotations }
}

function listRow({ id, status, pid = 0, bundle = '', createdAt }: ContainerState): Record<string, string> {
  return { ociVersion: '1.3.0', id, pid: String(pid), status, bundle, created: createdAt, owner: 'root' }
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)) + 2)
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('')
        .trimEnd(),
    )
    .join('\n')
}
