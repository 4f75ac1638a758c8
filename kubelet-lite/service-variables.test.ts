import { describe, expect, it } from 'vitest'
import type { Container, Pod, Service } from '../orchestrator/api/types.ts'
import { environment } from './environment.ts'
import { serviceVariables } from './service-variables.ts'

const aService = (namespace: string, name: string, spec: object): Service =>
  ({ metadata: { namespace, name }, spec: { clusterIP: '10.96.0.7', ports: [{ port: 80 }], ...spec } }) as Service
const aPod = (spec: object = {}): Pod =>
  ({ metadata: { name: 'p', namespace: 'n' }, spec: { containers: [], ...spec } }) as Pod
const kubernetes = aService('default', 'kubernetes', { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443 }] })
const reader = (...all: Service[]) => ({
  services: (namespace: string) => all.filter(({ metadata }) => metadata?.namespace === namespace),
})
const variables = (pod: Pod, ...all: Service[]) => Object.fromEntries(serviceVariables(pod, reader(...all)))

describe('serviceVariables', () => {
  it('host, ports by name, and what links were called', () => {
    const ports = [
      { name: 'web', port: 8080, protocol: 'TCP' },
      { name: 'dns-udp', port: 53, protocol: 'UDP' },
    ]
    expect(variables(aPod(), aService('n', 'my-app', { ports }))).toEqual({
      MY_APP_SERVICE_HOST: '10.96.0.7',
      MY_APP_SERVICE_PORT: '8080',
      MY_APP_SERVICE_PORT_WEB: '8080',
      MY_APP_SERVICE_PORT_DNS_UDP: '53',
      MY_APP_PORT: 'tcp://10.96.0.7:8080',
      MY_APP_PORT_8080_TCP: 'tcp://10.96.0.7:8080',
      MY_APP_PORT_8080_TCP_PROTO: 'tcp',
      MY_APP_PORT_8080_TCP_PORT: '8080',
      MY_APP_PORT_8080_TCP_ADDR: '10.96.0.7',
      MY_APP_PORT_53_UDP: 'udp://10.96.0.7:53',
      MY_APP_PORT_53_UDP_PROTO: 'udp',
      MY_APP_PORT_53_UDP_PORT: '53',
      MY_APP_PORT_53_UDP_ADDR: '10.96.0.7',
    })
  })
  it('of the own namespace, with an address', () => {
    const headless = aService('n', 'headless', { clusterIP: 'None' })
    const elsewhere = aService('other', 'elsewhere', {})
    expect(variables(aPod(), headless, elsewhere, aService('n', 'outside', { clusterIP: undefined }))).toEqual({})
  })
  it("the API server's always, unless the namespace has a Service of that name", () => {
    const without = aPod({ enableServiceLinks: false })
    expect(variables(without, kubernetes, aService('n', 'app', {}))).toMatchObject({
      KUBERNETES_SERVICE_HOST: '10.96.0.1',
      KUBERNETES_SERVICE_PORT_HTTPS: '443',
    })
    expect(variables(without, kubernetes, aService('n', 'app', {}))).not.toHaveProperty('APP_SERVICE_HOST')
    const own = aService('n', 'kubernetes', {})
    expect(variables(aPod(), kubernetes, own)).toMatchObject({ KUBERNETES_SERVICE_HOST: '10.96.0.7' })
    expect(variables(aPod(), kubernetes, own)).not.toHaveProperty('KUBERNETES_SERVICE_PORT_HTTPS')
  })
})

describe('environment', () => {
  it("the container's own variables win, and may use those of Services", async () => {
    const env = [
      { name: 'APP_SERVICE_PORT', value: '1' },
      { name: 'AT', value: '$(APP_SERVICE_HOST):$(APP_SERVICE_PORT)' },
    ]
    const all = await environment({
      pod: aPod(),
      container: { name: 'c', env } as Container,
      reader: { configMap: async () => undefined, secret: async () => undefined },
      ...reader(aService('n', 'app', {})),
      node: { name: 'node', ip: '192.0.2.1', cpus: 1, memoryBytes: 1 },
      podIPs: [],
    })
    const found = Object.fromEntries(all.map(({ name, value }) => [name, value]))
    expect(found).toMatchObject({ APP_SERVICE_HOST: '10.96.0.7', APP_SERVICE_PORT: '1', AT: '10.96.0.7:1' })
    expect(all.filter(({ name }) => name === 'APP_SERVICE_PORT')).toHaveLength(1)
  })
})
