/** One pull in a process of its own, so that its memory and processor time are its alone: `node images-pull.ts ROOT IMAGE`. */
import { openImages } from '../../images/index.ts'
import { silentLog } from '../../runtime/base/log.ts'

const [, , root = '', image = ''] = process.argv
const images = await openImages({ root, log: silentLog })
const before = performance.now()
await images.pull(image)
const milliseconds = performance.now() - before
await images.close()
const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
console.log(
  JSON.stringify({ milliseconds, megabytes: maxRSS / 1024, cpuMilliseconds: (userCPUTime + systemCPUTime) / 1000 }),
)
