/** How this host reaches registries: what files and environment say of mirrors, users and proxies. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileKeychain, type RegistryAccess, readRegistries } from '../images/index.ts'

/**
 * Reads `registries.yaml` of the data directory, else of /etc/coracle; users come from `$REGISTRY_AUTH_FILE`,
 * `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`. Throws `IMAGE_CONFIG`.
 */
export async function registryAccess(
  dataDir: string,
  insecureRegistries: readonly string[] = [],
): Promise<RegistryAccess> {
  const { env } = process
  const docker = env.DOCKER_CONFIG || join(homedir(), '.docker')
  const files = [...(env.REGISTRY_AUTH_FILE ? [env.REGISTRY_AUTH_FILE] : []), join(docker, 'config.json')]
  return {
    insecureRegistries,
    registries: await readRegistries([join(dataDir, 'registries.yaml'), '/etc/coracle/registries.yaml']),
    proxies: {
      http: env.http_proxy || env.HTTP_PROXY,
      https: env.https_proxy || env.HTTPS_PROXY,
      noProxy: env.no_proxy || env.NO_PROXY,
    },
    keychain: fileKeychain({ files, path: env.PATH ?? '' }),
  }
}
