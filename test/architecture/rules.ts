/** The layout as data: who may import whom, and how large things may grow. Why is written in docs/design.md. */
export const topFolders = ['bin', 'runtime', 'images', 'cni', 'csi', 'kubelet-lite', 'orchestrator', 'test'] as const

/** Folders whose files may be imported from outside one by one; all others only through their index.ts. */
export const publicLeaves = ['runtime/base/', 'runtime/linux/', 'orchestrator/api/', 'orchestrator/client/']

export const limits = { fileLines: 300, functionLines: 60, baseLines: 300 }

export const exempt = {
  /** Long because they are one table. */
  tables: [] as string[],
  /** Entry points of a process or worker thread: started by name, so nothing imports them. */
  startedByName: ['runtime/launcher/main.ts', 'test/e2e/api/client.ts'] as string[],
  /** Programs that a developer runs to write files of the repository anew. */
  generators: 'orchestrator/api/generate/',
}

/** A room is what the table below speaks of: a folder of `runtime` or `orchestrator`, or another top-level folder. */
export function roomOf(file: string): string {
  const [top = '', second = ''] = file.split('/')
  const inner = (top === 'runtime' || top === 'orchestrator') && !second.endsWith('.ts')
  return inner ? `${top}/${second}` : top
}

const base = ['runtime/base', 'runtime/linux']
const api = ['runtime/base', 'orchestrator/api', 'orchestrator/client']
const table: Readonly<Record<string, readonly string[]>> = {
  'runtime/base': [],
  'runtime/linux': ['runtime/base'],
  'runtime/spec': ['runtime/base'],
  'runtime/tape': [...base],
  'runtime/birth': [...base, 'runtime/spec', 'runtime/tape'],
  'runtime/cgroups': [...base, 'runtime/spec'],
  'runtime/launcher': [...base, 'runtime/spec', 'runtime/tape', 'runtime/birth', 'runtime/cgroups'],
  'runtime/container': [
    ...base,
    'runtime/spec',
    'runtime/tape',
    'runtime/birth',
    'runtime/cgroups',
    'runtime/launcher',
  ],
  runtime: [
    'runtime/base',
    'runtime/linux',
    'runtime/spec',
    'runtime/tape',
    'runtime/birth',
    'runtime/cgroups',
    'runtime/launcher',
    'runtime/container',
  ],
  images: [...base],
  cni: [...base, 'orchestrator/api', 'orchestrator/client'],
  csi: [...base, 'orchestrator/api', 'orchestrator/client'],
  'orchestrator/api': ['runtime/base'],
  'orchestrator/store': ['runtime/base'],
  'orchestrator/client': ['runtime/base', 'orchestrator/api'],
  'orchestrator/scheduler': api,
  'orchestrator/controllers': api,
  'orchestrator/auth': ['runtime/base', 'orchestrator/api'],
  'orchestrator/admission': ['runtime/base', 'orchestrator/api'],
  'orchestrator/apiserver': [
    'runtime/base',
    'orchestrator/api',
    'orchestrator/store',
    'orchestrator/auth',
    'orchestrator/admission',
    'orchestrator/client',
  ],
  'orchestrator/dashboard': api,
  orchestrator: [
    'runtime/base',
    'orchestrator/api',
    'orchestrator/store',
    'orchestrator/client',
    'orchestrator/scheduler',
    'orchestrator/controllers',
    'orchestrator/auth',
    'orchestrator/admission',
    'orchestrator/apiserver',
  ],
  'kubelet-lite': [...base, 'orchestrator/api', 'orchestrator/client', 'runtime', 'images', 'cni', 'csi'],
}

/** True if a file of room `from` may import a file of room `to`. */
export function mayImport(from: string, to: string): boolean {
  return from === to || from === 'bin' || (table[from]?.includes(to) ?? false)
}
