import { Command } from 'commander'
import { CoracleError, messageOf } from '../runtime/base/errors.ts'
import { version } from './version.ts'

/** Each command loads its own part of the project, and only when it is asked for. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import('./up.ts')).upCommand(),
  down: async () => (await import('./down.ts')).downCommand(),
  images: async () => (await import('./images.ts')).imagesCommand(),
  store: async () => (await import('./store.ts')).storeCommand(),
  cgroups: async () => (await import('./cgroups.ts')).cgroupsCommand(),
}

/** Everything but `coracle oci`, which has a parser of its own. */
export async function runCoracle(): Promise<void> {
  const program = new Command('coracle')
    .description('a container runtime and Kubernetes-compatible orchestrator for Linux')
    .version(version(), '-V, --version')
    .enablePositionalOptions()
  program
    .command('version')
    .description('print the version')
    .action(() => console.log(`coracle ${version()}`))
  program.command('oci').description('an OCI runtime: the command line of runc (coracle oci help)')
  try {
    const asked = commands[process.argv[2] ?? '']
    const wanted = asked ? [asked] : Object.values(commands)
    for (const load of wanted) program.addCommand(await load())
    await program.parseAsync()
  } catch (error) {
    const hint = error instanceof CoracleError && error.hint !== undefined ? ` (${error.hint})` : ''
    console.error(`coracle: ${messageOf(error)}${hint}`)
    // Whatever is still open must not keep a command alive that has failed.
    process.exit(1)
  }
}
