import { closeSync, constants, openSync } from 'node:fs'
import { O_PATH } from '../runtime/linux/at-files.ts'
import { openDetachedOverlay } from '../runtime/linux/detached-overlay.ts'
import type { Overlay } from './snapshot.ts'

/**
 * Runs `act` with the root of a container as a descriptor: of a living one as its process sees it, with its volumes; of
 * one that has ended, or has not begun, its overlay, mounted for no one else.
 */
export async function withContainerRoot<Result>(
  { overlay, pid }: { overlay: Overlay; pid: number | undefined },
  act: (root: number) => Promise<Result>,
): Promise<Result> {
  const root =
    pid === undefined ? openDetachedOverlay(overlay) : openSync(`/proc/${pid}/root`, O_PATH | constants.O_DIRECTORY)
  try {
    return await act(root)
  } finally {
    closeSync(root)
  }
}
