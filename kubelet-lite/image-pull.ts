/** `imagePullPolicy` (Kubernetes docs: concepts/containers/images). */

import type { Credentials } from '../images/index.ts'
import type { Container, Pod } from '../orchestrator/api/types.ts'
import type { EventRecorder } from '../orchestrator/client/event-recorder.ts'
import { CoracleError, hasCode } from '../runtime/base/errors.ts'
import type { Image, ImageService, PullOptions } from './cri/types.ts'
import type { ConfigReader } from './environment.ts'
import { stepFailed } from './errors.ts'
import { fieldPathOf } from './pod-containers.ts'
import { findCredentials } from './pull-secrets.ts'

/** Makes sure that the container's image is on this node. Throws `ErrImagePull`, `ErrImageNeverPull` or `InvalidImageName`. */
export async function ensureImage(
  at: { images: ImageService; events: EventRecorder; reader: ConfigReader },
  pod: Pod,
  options: { container: Container; signal: AbortSignal },
): Promise<void> {
  const { container, signal } = options
  const image = container.image ?? ''
  const fieldPath = fieldPathOf(pod, container.name)
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
  const pulled = await pullAs(await findCredentials(at.reader, pod, image), at.images, { image, signal })
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

/** The users are tried in order until the registry takes one; without any, as whoever this node is. */
async function pullAs(
  users: readonly Credentials[],
  images: ImageService,
  { image, signal }: { image: string; signal: AbortSignal },
): Promise<Image> {
  for (const auth of users.slice(0, -1)) {
    try {
      return await images.pullImage(image, { signal, auth })
    } catch (error) {
      if (!hasCode(error, 'IMAGE_UNAUTHORIZED')) throw asPullError(error, image)
    }
  }
  const auth = users.at(-1)
  return pull(images, image, { signal, ...(auth ? { auth } : {}) })
}

async function pull(images: ImageService, image: string, options: PullOptions) {
  try {
    return await images.pullImage(image, options)
  } catch (error) {
    throw asPullError(error, image)
  }
}

function asPullError(error: unknown, image: string): CoracleError {
  const hint = error instanceof CoracleError && error.hint ? ` (${error.hint})` : ''
  return stepFailed('ErrImagePull', error, `failed to pull image "${image}"${hint}`)
}
