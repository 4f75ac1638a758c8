/** Streams through the API server, by @kubernetes/client-node and by every kubectl. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cluster, eventually, kubectls, preferredKubectl } from './cluster.ts'
import { aPod, shell } from './manifests.ts'

const script =
  "trap 'exit 0' TERM; mkdir -p /www; echo page > /www/index.html; httpd -p 8080 -h /www; while :; do echo tick; sleep 0.2; done"

describe.skipIf(preferredKubectl() === undefined)('clients', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start()
    await cluster.apply(JSON.stringify(aPod('server', shell(script, { stdin: true }))))
    await cluster.ok(['wait', 'pod/server', '--for=condition=Ready', '--timeout=60s'])
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  it('@kubernetes/client-node: exec, attach, logs, port-forward, apply, informer, watch, metrics', async () => {
    const program = join(import.meta.dirname, 'api/client.ts')
    const { stdout, stderr } = await cluster.inside(process.execPath, [program, 'server'], {
      env: cluster.environment(),
    })
    expect(stdout, stderr).not.toBe('')
    expect(JSON.parse(stdout)).toEqual({
      exec: {
        result: 'Failure',
        message: 'command terminated with non-zero exit code: exit status 3',
        said: ['out\n', 'err\n'],
      },
      stdin: { result: 'Success', said: ['given', ''] },
      attach: true,
      logs: true,
      forward: true,
      apply: { refused: 409, data: { a: '1', b: '2' } },
      heard: ['informer heard-of', 'watch heard-of'],
      metrics: ['main'],
    })
  })

  const python = '/usr/lib/python3/dist-packages/kubernetes'
  it.skipIf(!existsSync(python))(
    'python3-kubernetes: watch, patches, conflict, dynamic, scale, pages, log, exec',
    async () => {
      const program = join(import.meta.dirname, 'api/client.py')
      const { stdout, stderr } = await cluster.inside('/usr/bin/python3', [program, 'server'], {
        env: cluster.environment(),
      })
      expect(stdout, stderr).not.toBe('')
      expect(JSON.parse(stdout)).toEqual({
        patched: { a: '1', b: '2', c: '3' },
        late: [409, 'Conflict'],
        dynamic: { a: '1', b: '2', c: '3' },
        watched: ['ADDED', 'MODIFIED', 'MODIFIED', 'DELETED'],
        scale: 0,
        pages: [1, null],
        log: 'tick\n',
        exec: ['out\n', 'err\n', 3],
      })
    },
  )

  describe.each(kubectls())('kubectl $version', ({ version, path }) => {
    const port = 20_000 + Number(version.replace(/\D/g, ''))
    it('port-forward: to a pod', async () => {
      const forward = cluster.spawnInside(path, ['port-forward', 'server', `${port}:8080`])
      try {
        const page = await eventually('the page', async () => {
          const { code, stdout } = await cluster.inside('curl', ['-s', '-m', '2', `http://127.0.0.1:${port}/`])
          return code === 0 && stdout
        })
        expect(page).toBe('page\n')
      } finally {
        forward.kill('SIGINT')
      }
    })

    it('proxy: a pod behind the API server behind a port of ours', async () => {
      const proxy = cluster.spawnInside(path, ['proxy', `--port=${port + 1000}`])
      try {
        const url = `http://127.0.0.1:${port + 1000}/api/v1/namespaces/default/pods/server:8080/proxy/index.html`
        const page = await eventually('the page', async () => {
          const { code, stdout } = await cluster.inside('curl', ['-s', '-m', '2', url])
          return code === 0 && stdout
        })
        expect(page).toBe('page\n')
      } finally {
        proxy.kill('SIGINT')
      }
    })

    it('attach: sees the output', async () => {
      const attach = cluster.spawnInside(path, ['attach', 'server'])
      let said = ''
      attach.stdout?.on('data', (data) => {
        said += String(data)
      })
      try {
        await eventually('its output', async () => said.includes('tick'))
      } finally {
        attach.kill('SIGINT')
      }
    })
  })
})
