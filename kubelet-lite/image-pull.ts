/** `imagePullPolicy` (Kubernetes docs: concepts/containers/images). */

import type { Container, Pod } from '../orchestrator/api/types.ts'
import type { EventRecorder } from '../orchestrator/client/event-recorder.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import type { ImageService, PullOptions } from './cri/types.ts'
import type { ConfigReader } from './environment.ts'
import { stepFailed } from './errors.ts'
import { findCredentials } from './pull-secrets.ts'

/** Makes sure that the container's image is on this node. Throws `ErrImagePull`, `ErrImageNeverPull` or `InvalidImageName`. */
export async function ensureImage(
  at: { images: ImageService; events: EventRecorder; reader: ConfigReader },
  pod: Pod,
  options: { container: Container; signal: AbortSignal },
): Promise<void> {
  const { container, signal } = options
  const image = container.image ?? ''
  const fieldPath = `spec.containers{${container.name}}`
  const tell = (reason: string, message: string) =>
    at.events.record(pod, { type: 'Normal', reason, message, fieldPath })
  const present = await imageStatus(at.images, image)
  if (present && container.imagePullPolicy !== 'Always') {
    return tell('Pulled', `Container image "${image}" already present on machine`)
  }
  if (container.imagePullPolicy === 'Never') {
    throw stepFailed('ErrImageNeverPull', `Container image "${image}" is not present with pull policy of Never`)
  }
  tell('Pulling', `Pulling image "${image}"`)
  const started = performance.now()
  const auth = await findCredentials(at.reader, pod, image)
  const pulled = await pull(at.images, image, { signal, ...(auth ? { auth } : {}) })
  const took = Math.round(performance.now() - started)
  tell('Pulled', `Successfully pulled image "${image}" in ${took}ms. Image size: ${pulled.sizeBytes} bytes.`)
}

async function imageStatus(images: ImageService, image: string) {
  try {
    return await images.imageStatus(image)
  } catch (error) {
    throw stepFailed('InvalidImageName', error, `Failed to apply default image tag "${image}"`)
  }
}

async function pull(images: ImageService, image: string, options: PullOptions) {
  try {
    return await images.pullImage(image, options)
  } catch (error) {
    const retryable = error instanceof CoracleError && error.hint ? ` (${error.hint})` : ''
    throw stepFailed('ErrImagePull', error, `failed to pull image "${image}"${retryable}`)
  }
}
