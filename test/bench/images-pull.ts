/** One pull in a process of its own, so that its memory and processor time are its alone: `node images-pull.ts ROOT IMAGE`. */
import { readFileSync } from 'node:fs'
import { openImages } from '../../images/index.ts'
import { silentLog } from '../../runtime/base/log.ts'

const [, , root = '', image = ''] = process.argv
const images = await openImages({ root, log: silentLog })
const before = performance.now()
await images.pull(image)
const milliseconds = performance.now() - before
await images.close()
const { userCPUTime, systemCPUTime } = process.resourceUsage()
// Not ru_maxrss: until exec a new process shares the memory of the one that starts it, and that counts (getrusage(2)).
const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
const megabytes = Number(peak) / 1024
console.log(JSON.stringify({ milliseconds, megabytes, cpuMilliseconds: (userCPUTime + systemCPUTime) / 1000 }))
