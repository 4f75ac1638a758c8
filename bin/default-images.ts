/** The first images, made from this very machine: a new node has something to run without any registry. */
import { accessSync, constants } from 'node:fs'
import { busyboxImage, type Images, nodeImage } from '../images/index.ts'

const nodeName = 'coracle.local/node:24'
const busyboxName = 'coracle.local/busybox:1'

const busyboxPlaces = ['/bin/busybox', '/usr/bin/busybox', '/usr/lib/initramfs-tools/bin/busybox']

/** Builds the images that are not there yet; returns the references of those that are there now. */
export async function buildDefaultImages(images: Images, nodeBinary: string): Promise<string[]> {
  if (!(await images.inspect(nodeName))) await images.build(nodeImage(nodeName, nodeBinary))
  const busybox = busyboxPlaces.find(isExecutable)
  if (busybox && !(await images.inspect(busyboxName))) await images.build(busyboxImage(busyboxName, busybox))
  return (await images.inspect(busyboxName)) ? [nodeName, busyboxName] : [nodeName]
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
