/** What the commands of `coracle images` share: the store, its options, and what is printed beside. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { type Images, openImages } from '../images/index.ts'
import { consoleLog } from './console-log.ts'

export interface Options {
  dataDir: string
}

/** Adds a command that has the options which all have. */
export type Add = (usage: string, description: string) => Command

/** Opens the store while `act` runs. Works beside a running node. */
export async function withImages(options: Options, act: (images: Images) => Promise<void>): Promise<void> {
  const images = await openImages({ root: join(options.dataDir, 'images'), log: consoleLog })
  try {
    await act(images)
  } finally {
    await images.close()
  }
}
