import { expect, it } from 'vitest'
import { surviveKills } from '../system/store/kills.ts'

const kills = 200

it(`store: ${kills} times kill -9 under 64 writers: nothing acknowledged is lost, watchers see each event once`, async () => {
  const { writes } = await surviveKills(kills)
  expect(writes).toBeGreaterThan(kills * 100)
})
