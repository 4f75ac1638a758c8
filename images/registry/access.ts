import type { Keychain } from './keychain.ts'
import type { Proxies } from './proxy.ts'
import { noRegistries, type Registries } from './registries.ts'

/** How the registries of the world are reached from this host. */
export interface RegistryAccess {
  /** Registries (`host` or `host:port`) that may be spoken to without TLS; loopback always may. */
  insecureRegistries: readonly string[]
  /** Mirrors, certificates, users. */
  registries: Registries
  proxies: Proxies
  /** Asked for the user of a repository when none is given. */
  keychain: Keychain
}

/** Directly, with TLS, and as nobody. */
export const directAccess: RegistryAccess = {
  insecureRegistries: [],
  registries: noRegistries,
  proxies: {},
  keychain: async () => undefined,
}
