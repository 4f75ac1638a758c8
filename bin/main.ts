/** `coracle`: reads the command line and wires the parts together. */
import { enableCompileCache } from 'node:module'
import { version } from './version.ts'

// Stripping types and compiling are done once, not at every start.
enableCompileCache()

// What is started many times for each container does not wait for a parser of command lines.
if (process.argv[2] === 'oci') {
  const { runOci } = await import('./oci.ts')
  process.exit(await runOci(process.argv.slice(3), version))
} else {
  const { runCoracle } = await import('./commands.ts')
  await runCoracle()
}
