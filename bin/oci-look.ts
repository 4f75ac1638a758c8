import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { savedConfig } from '../runtime/container/saved-config.ts'
import { type ContainerState, listStates, stateOf } from '../runtime/container/state.ts'
import { formatOf, idOf, print, usage, type Verb } from './oci-act.ts'

/** What looks at containers and touches nothing. */
export const verbs: Readonly<Record<string, Verb>> = {
  state: {
    args: '<id>',
    does: 'print the state as JSON',
    flags: [],
    takes: [1, 1],
    act(call) {
      print(JSON.stringify({ ...rowOf(call.root, stateOf(call.root, idOf(call))), owner: '' }, null, 2))
    },
  },
  list: {
    args: '',
    does: 'list containers',
    flags: ['-f, --format <format>  table or json (default: table)', '-q, --quiet  ids only'],
    takes: [0, 0],
    act({ root, flags, global }) {
      const format = formatOf(flags)
      // The default one is made by the first container; one that is named and not there is a mistake.
      if (global.has('root') && !existsSync(root)) throw usage(`--root ${root}: no such folder`)
      const states = listStates(root)
      if (flags.has('quiet')) for (const { id } of states) print(id)
      else if (format === 'json')
        print(states.length === 0 ? 'null' : JSON.stringify(states.map((one) => rowOf(root, one))))
      else
        print(
          table(
            ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
            states.map((one) => cells(rowOf(root, one))),
          ),
        )
    },
  },
}

/** A row of runc's `list --format json`, which is its `state` too. */
interface Row {
  ociVersion: string
  id: string
  pid: number
  status: string
  bundle: string
  rootfs: string
  created: string
  annotations?: Record<string, string>
  owner: string
}

function rowOf(root: string, { id, status, pid = 0, bundle = '', createdAt, annotations }: ContainerState): Row {
  const owner = statSync(`${root}/${id}`, { throwIfNoEntry: false })?.uid === 0 ? 'root' : ''
  const more = Object.keys(annotations).length > 0 ? { annotations } : {}
  const rootfs = rootfsOf(root, id, bundle)
  return { ociVersion: '1.3.0', id, pid, status, bundle, rootfs, created: createdAt, ...more, owner }
}

function rootfsOf(root: string, id: string, bundle: string): string {
  try {
    return resolve(bundle, savedConfig(root, id).spec.root?.path ?? '')
  } catch {
    // A sandbox has no configuration, and one that is being deleted none any more.
    return ''
  }
}

const cells = ({ id, pid, status, bundle, created, owner }: Row) => [id, String(pid), status, bundle, created, owner]

/** Columns as Go's tabwriter makes them for runc: at least 12 wide, three blanks between. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) =>
    Math.max(12, ...[title, ...rows.map((row) => row[at] ?? '')].map((cell) => cell.length + 3)),
  )
  const line = (row: readonly string[]) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('')
  return [head, ...rows].map(line).join('\n')
}
