import { capabilityNames } from '../birth/capabilities.ts'
import { mountOptionNames } from '../birth/mount-options.ts'
import { hookNames, namespaceTypes } from '../spec/names.ts'

/** The runtime-spec's features document (features.md): only what is really there. */
export function features(): Record<string, unknown> {
  return {
    ociVersionMin: '1.0.0',
    ociVersionMax: '1.3.0',
    hooks: hookNames,
    mountOptions: mountOptionNames(),
    linux: {
      namespaces: namespaceTypes.toSorted(),
      capabilities: capabilityNames,
      cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: true },
      seccomp: {
        enabled: true,
        actions: ['ALLOW', 'ERRNO', 'KILL', 'KILL_PROCESS', 'KILL_THREAD', 'LOG', 'TRACE', 'TRAP'].map(
          (name) => `SCMP_ACT_${name}`,
        ),
        operators: ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((name) => `SCMP_CMP_${name}`),
        archs: [process.arch === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64'],
        supportedFlags: ['TSYNC', 'LOG', 'SPEC_ALLOW'].map((name) => `SECCOMP_FILTER_FLAG_${name}`),
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: false },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: false },
    },
    annotations: {},
    // No annotation of a config.json changes what we do.
    potentiallyUnsafeConfigAnnotations: [],
  }
}
