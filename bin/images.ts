import { Command } from 'commander'
import { addArchiveCommands } from './images-archives.ts'
import { addLocalCommands } from './images-local.ts'
import { addRemoteCommands } from './images-remote.ts'

const defaultDataDir = '/var/lib/coracle'

/** `coracle images …`: the images of this host. Works beside a running node, on the same store. */
export function imagesCommand(): Command {
  const images = new Command('images').description('images of this host')
  const add = (usage: string, description: string) =>
    images
      .command(usage)
      .description(description)
      .option('--data-dir <folder>', 'where Coracle keeps its data', defaultDataDir)
  addLocalCommands(add)
  addArchiveCommands(add)
  addRemoteCommands(add)
  return images
}
