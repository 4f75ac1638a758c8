import type { Images } from '../../images/index.ts'
import type { Image, ImageService } from './types.ts'

type Record = Awaited<ReturnType<Images['list']>>[number]

/** CRI's ImageService over our own images. */
export function inProcessImages(images: Images): ImageService {
  return {
    imageStatus: async (reference) => {
      const found = await images.inspect(reference)
      return found && imageOf(found)
    },
    pullImage: async (reference, options) => imageOf(await images.pull(reference, options)),
    listImages: async () => (await images.list()).map(imageOf),
  }
}

function imageOf(record: Record): Image {
  return { id: record.id, references: record.references, digest: record.digest, sizeBytes: record.size }
}
