import type { Image } from './image-record.ts'
import type { HistoryEntry } from './manifest.ts'

/** One step of an image's making, newest first as `docker history` shows it. */
export interface HistoryStep extends HistoryEntry {
  /** Bytes of the layer, packed; 0 for a step that made none. */
  size: number
}

/** The steps that the image's configuration tells of, each with the layer that it made. */
export function historyOf({ manifest, document }: Image): HistoryStep[] {
  const layers = [...manifest.layers]
  const steps = document.history.map((entry) => ({
    ...entry,
    size: entry.emptyLayer ? 0 : (layers.shift()?.size ?? 0),
  }))
  // A configuration need not say how its layers came about: they are shown all the same.
  const unexplained = layers.map(({ size }) => ({ createdBy: '', emptyLayer: false, size }))
  return [...steps, ...unexplained].reverse()
}
