import { describe, expect, it } from 'vitest'
import type { Pod } from '../orchestrator/api/types.ts'
import { allContainers, fieldPathOf, ownContainers } from './pod-containers.ts'

const pod: Pod = {
  spec: {
    initContainers: [{ name: 'init' }],
    containers: [{ name: 'web' }],
    ephemeralContainers: [{ name: 'debugger' }],
  },
}

describe('containers of a pod', () => {
  it('its own, and all', () => {
    expect(ownContainers(pod).map(({ name }) => name)).toEqual(['web', 'init'])
    expect(allContainers(pod).map(({ name }) => name)).toEqual(['web', 'init', 'debugger'])
    expect(allContainers({})).toEqual([])
  })
  it('field path: by the list in which it stands', () => {
    expect(['init', 'web', 'debugger'].map((name) => fieldPathOf(pod, name))).toEqual([
      'spec.initContainers{init}',
      'spec.containers{web}',
      'spec.ephemeralContainers{debugger}',
    ])
  })
})
