import { describe, expect, it } from 'vitest'
import { changeConfig } from './config-changes.ts'

describe('changeConfig', () => {
  it.each([
    ['CMD ["a", "b c"]', { Cmd: ['a', 'b c'] }],
    ['cmd echo hi', { Cmd: ['/bin/sh', '-c', 'echo hi'] }],
    ['CMD [ -f x ] && y', { Cmd: ['/bin/sh', '-c', '[ -f x ] && y'] }],
    ['ENTRYPOINT ["/x"]', { Entrypoint: ['/x'] }],
    ['ENV A=1 B="x y" C=\\$z', { Env: ['Z=0', 'A=1', 'B=x y', 'C=$z'] }],
    ['ENV A the rest', { Env: ['Z=0', 'A=the rest'] }],
    ['ENV Z=1', { Env: ['Z=1'] }],
    ['EXPOSE 80 53/udp', { ExposedPorts: { '80/tcp': {}, '53/udp': {} } }],
    ["LABEL a='b c' d=e", { Labels: { a: 'b c', d: 'e' } }],
    ['VOLUME ["/a b"]', { Volumes: { '/a b': {} } }],
    ['VOLUME /a /b', { Volumes: { '/a': {}, '/b': {} } }],
    ['USER 1:2', { User: '1:2' }],
    ['WORKDIR sub', { WorkingDir: '/srv/sub' }],
    ['WORKDIR /x', { WorkingDir: '/x' }],
    ['STOPSIGNAL SIGINT', { StopSignal: 'SIGINT' }],
  ])('%s', (line, expected) => {
    const before = { Env: ['Z=0'], WorkingDir: '/srv' }
    expect(changeConfig(before, [line])).toEqual({ ...before, ...expected })
  })

  it.each(['RUN x', 'ONBUILD RUN x', 'CMD', '', 'EXPOSE http', 'ENV A', 'LABEL a="b', 'HEALTHCHECK NONE'])(
    '%j: is refused by name',
    (line) => {
      expect(() => changeConfig({}, [line])).toThrow(expect.objectContaining({ code: 'IMAGE_BUILD' }))
    },
  )
})
