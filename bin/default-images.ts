/** The first images, made from this very machine: a new node has something to run without any registry. */
import { accessSync, constants } from 'node:fs'
import type { Images } from '../images/index.ts'

export const nodeImage = 'coracle.local/node:24'
export const busyboxImage = 'coracle.local/busybox:1'

const busyboxPlaces = ['/bin/busybox', '/usr/bin/busybox', '/usr/lib/initramfs-tools/bin/busybox']

/** Builds the images that are not there yet; returns the references of those that are there now. */
export async function buildDefaultImages(images: Images, nodeBinary: string): Promise<string[]> {
  const present: string[] = []
  if (!(await images.inspect(nodeImage))) await images.build({ kind: 'node', ref: nodeImage, binary: nodeBinary })
  present.push(nodeImage)
  const busybox = busyboxPlaces.find(isExecutable)
  if (busybox && !(await images.inspect(busyboxImage))) {
    await images.build({ kind: 'busybox', ref: busyboxImage, binary: busybox })
  }
  if (await images.inspect(busyboxImage)) present.push(busyboxImage)
  return present
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
