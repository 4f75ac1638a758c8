import { capabilityNames } from '../birth/capabilities.ts'
import { mountOptionNames } from '../birth/mount-options.ts'
import { seccompNames } from '../birth/seccomp/profile.ts'
import { hookNames, memoryPolicyFlags, memoryPolicyModes, namespaceTypes } from '../spec/names.ts'

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
        actions: seccompNames.actions.toSorted(),
        operators: ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((name) => `SCMP_CMP_${name}`),
        archs: (process.arch === 'arm64' ? ['AARCH64', 'ARM'] : ['X32', 'X86', 'X86_64']).map(
          (name) => `SCMP_ARCH_${name}`,
        ),
        knownFlags: seccompNames.flags.toSorted(),
        supportedFlags: seccompNames.flags.toSorted(),
      },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: false },
      memoryPolicy: { modes: memoryPolicyModes, flags: Object.keys(memoryPolicyFlags) },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: false },
    },
    annotations: {},
    // No annotation of a config.json changes what we do.
    potentiallyUnsafeConfigAnnotations: [],
  }
}
