import { describe, expect, it } from 'vitest'
import { connectIfThere, connectTo } from './container-netns.ts'

describe('container-netns', () => {
  it("the host's own namespace: nothing is plugged into it, and nothing taken out", () => {
    expect(() => connectTo('/proc/self/ns/net')).toThrow(
      "enter network namespace /proc/self/ns/net: it is the host's own",
    )
    expect(connectIfThere('/proc/self/ns/net')).toBeUndefined()
  })
  it('a namespace that is gone: an error for ADD, nothing for DEL', () => {
    expect(() => connectTo('/proc/none/ns/net')).toThrow(expect.objectContaining({ code: 'CNI_UNKNOWN_CONTAINER' }))
    expect(connectIfThere('/proc/none/ns/net')).toBeUndefined()
  })
})
