import { cgroups } from '../runtime/cgroups/driver.ts'
import { psHost } from '../runtime/container/ps-columns.ts'
import { psTable } from '../runtime/container/ps-table.ts'
import { stateOf } from '../runtime/container/state.ts'
import { processTable } from '../runtime/linux/process-table.ts'
import { formatOf, idOf, print, type Verb } from './oci-act.ts'
import { psRequest } from './ps-options.ts'

export const verbs: Readonly<Record<string, Verb>> = {
  ps: {
    args: '<id> [ps options]',
    does: 'list the processes of a container, as ps -ef does or with other options of ps(1): aux, -l, -o pid,comm …',
    flags: ['-f, --format <format>  table or json, which is pids alone (default: table)'],
    takes: [1, Number.POSITIVE_INFINITY],
    flagsEnd: 1,
    act(call) {
      const format = formatOf(call.flags)
      const request = psRequest(call.args.slice(1))
      const { cgroupPath } = stateOf(call.root, idOf(call))
      const pids = cgroups()
        .pids(cgroupPath)
        .toSorted((a, b) => a - b)
      if (format === 'json') return print(JSON.stringify(pids))
      for (const line of psTable(request, processTable(pids), psHost())) print(line)
    },
  },
}
