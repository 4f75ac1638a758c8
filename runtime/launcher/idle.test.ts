import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { whenIdle } from './idle.ts'

it('whenIdle: once after the last touch, again only after another', async () => {
  let acts = 0
  const idle = whenIdle(40, () => acts++)
  await sleep(60)
  expect(acts).toBe(0)
  for (let at = 0; at < 5; at++) {
    idle.touch()
    await sleep(10)
  }
  expect(acts).toBe(0)
  await sleep(80)
  expect(acts).toBe(1)
  idle.touch()
  await sleep(80)
  expect(acts).toBe(2)
  idle.touch()
  idle.close()
  await sleep(80)
  expect(acts).toBe(2)
})
