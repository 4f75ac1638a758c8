/** Chains of writes on the cluster of the arguments, until standard input ends; then prints what was found as JSON. */
import { openEtcdStore } from '../../../orchestrator/store/etcd/etcd-store.ts'
import { systemClock as clock } from '../../../runtime/base/clock.ts'
import { startChains } from './chains.ts'

const endpoints = process.argv.slice(2)
const open = () => openEtcdStore({ endpoints, prefix: '/registry/', clock })
const [store, other] = [await open(), await open()]
const chains = startChains(store, other)
/** The longest time without an answered write, in ms. */
let longestPause = 0
let [writes, since] = [0, performance.now()]
const timer = setInterval(() => {
  const now = performance.now()
  longestPause = Math.max(longestPause, now - since)
  if (chains.writes() > writes) [writes, since] = [chains.writes(), now]
}, 50)
process.stdout.write('ready\n')
for await (const _ of process.stdin);
clearInterval(timer)
const faults = await chains.finish()
console.log(JSON.stringify({ faults, writes: chains.writes(), longestPause, check: await store.check() }))
await Promise.all([store.close(), other.close()])
