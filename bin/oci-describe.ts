import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { findLayout } from '../runtime/cgroups/layout.ts'
import { print, specOf, usage, type Verb } from './oci-act.ts'

function refused(does: string, why: string): Verb {
  const act = () => {
    throw usage(why)
  }
  return { args: '<id>', does, flags: [], takes: [0, Number.POSITIVE_INFINITY], flagsEnd: 0, act }
}

/** What tells about this runtime and this host, and what is only there to say that it is not. */
export const verbs: Readonly<Record<string, Verb>> = {
  features: {
    args: '',
    does: 'print what this runtime supports, as JSON',
    flags: [],
    takes: [0, 0],
    async act() {
      const { features } = await import('../runtime/container/features.ts')
      print(JSON.stringify(features(), null, 2))
    },
  },
  spec: {
    args: '',
    does: 'write a default config.json',
    flags: [
      '-b, --bundle <path>  folder to write to (default: .)',
      '--rootless  with a user namespace in which you are root',
    ],
    takes: [0, 0],
    async act({ flags }) {
      const { bundleSpec, rootlessSpec } = await import('../runtime/spec/default-spec.ts')
      const spec = bundleSpec(findLayout().version)
      const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
      const file = `${flags.text('bundle') ?? '.'}/config.json`
      writeFileSync(file, `${JSON.stringify(flags.has('rootless') ? rootlessSpec(spec, owner) : spec, null, '\t')}\n`, {
        flag: 'wx',
      })
    },
  },
  explain: {
    args: '<bundle>',
    does: 'print every system call that would make the container, and why; touches nothing',
    flags: [],
    takes: [1, 1],
    async act({ root, args, warn }) {
      const { birthOf } = await import('../runtime/container/create.ts')
      const { validateSpec } = await import('../runtime/spec/validate.ts')
      const { listing } = await import('../runtime/tape/listing.ts')
      const bundle = args[0] ?? ''
      const spec = validateSpec(specOf(bundle))
      const { tape, warnings } = birthOf({ root }, 'explained', { spec, bundle: resolve(bundle) })
      for (const warning of warnings) warn(warning)
      print(listing(tape).trimEnd())
    },
  },
  doctor: {
    args: '',
    does: 'look at this host: what containers need, what is missing, and what each lack costs',
    flags: ['--json  as JSON'],
    takes: [0, 0],
    act: async ({ flags }) => (await import('./oci-doctor.ts')).tellDoctor(flags.has('json')),
  },
  checkpoint: refused(
    'refused: not supported',
    'checkpoint is not supported: this runtime keeps no images of processes (CRIU)',
  ),
  restore: refused(
    'refused: not supported',
    'restore is not supported: this runtime keeps no images of processes (CRIU)',
  ),
}
