import { describe, expect, it } from 'vitest'
import { victimOf } from './oom-notices.ts'

const line =
  '3,812,99,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/coracle/pod,task_memcg=/coracle/pod/c1,task=a,b c,pid=4711,uid=1000\n'

describe('victimOf', () => {
  it('process, also with an odd name, and the group whose limit was hit', () => {
    expect(victimOf(line, '/coracle/pod/c1')).toEqual({ pid: 4711, name: 'a,b c', limitedBy: '/coracle/pod' })
  })
  it('of the group and those below it only', () => {
    expect(victimOf(line, '/coracle/pod')?.pid).toBe(4711)
    expect(victimOf(line, '/coracle/po')).toBeUndefined()
    expect(victimOf('6,1,2,-;something else', '/coracle/pod')).toBeUndefined()
  })
})
