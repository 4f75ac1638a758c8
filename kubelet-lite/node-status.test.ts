import { expect, it } from 'vitest'
import { imagesStatus } from './node-status.ts'

it('imagesStatus: the fifty largest images, five names of each', () => {
  const names = Array.from({ length: 7 }, (_, at) => `r.test/x:${at}`)
  const images = Array.from({ length: 60 }, (_, at) => ({ id: `${at}`, references: names, digest: 'd', sizeBytes: at }))
  const shown = imagesStatus(images)
  expect(shown.map(({ sizeBytes }) => sizeBytes)).toEqual(Array.from({ length: 50 }, (_, at) => 59 - at))
  expect(shown[0]?.names).toEqual(names.slice(0, 5))
})
