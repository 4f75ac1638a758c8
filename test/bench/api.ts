import { serverRows } from './api-server.ts'
import { storeRows } from './api-store.ts'
import type { Bench } from './rows.ts'

/** From the disk upwards; each part makes and removes what it measures. */
export const bench: Bench = {
  name: 'api',
  run: async () => [...(await storeRows()), ...(await serverRows())],
}
