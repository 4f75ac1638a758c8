import { defineConfig } from 'vitest/config'

/** How many times longer than usual a system test may take: in an emulated machine it does. */
const patience = Number(process.env.CORACLE_PATIENCE ?? '1')

/** Unit tests are the twins beside each file; `test/system` and `test/peers` (other people's programs) need root; `test/e2e` drives the built system with the real kubectl. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{runtime,images,cni,csi,orchestrator,kubelet-lite,bin}/**/*.test.ts', 'test/*.test.ts'],
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts', 'test/peers/**/*.test.ts'],
          testTimeout: 60_000 * patience,
          hookTimeout: 60_000 * patience,
          expect: { poll: { timeout: 1000 * patience } },
          // Each makes what it needs under names of its own; mostly they wait, for processes and for disks.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'soak',
          include: ['test/soak/**/*.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
