import { checkDnsSubdomain } from '../names.ts'
import { configMapPrinter, secretPrinter, serviceAccountPrinter } from '../print/simple.ts'
import type { ConfigMap, Secret, ServiceAccount } from '../types.ts'
import { validateConfigMap, validateConfigMapUpdate, validateSecret, validateSecretUpdate } from '../validate/config.ts'
import { allVerbs, type Kind } from './kind.ts'

export const configMapKind: Kind<ConfigMap> = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  resource: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  namespaced: true,
  definition: 'io.k8s.api.core.v1.ConfigMap',
  storedAt: '/registry/configmaps/',
  verbs: allVerbs,
  subresources: [],
  strategy: {
    checkName: checkDnsSubdomain,
    validate: validateConfigMap,
    validateUpdate: validateConfigMapUpdate,
  },
  printer: configMapPrinter,
}

export const secretKind: Kind<Secret> = {
  group: '',
  version: 'v1',
  kind: 'Secret',
  resource: 'secrets',
  singular: 'secret',
  namespaced: true,
  definition: 'io.k8s.api.core.v1.Secret',
  storedAt: '/registry/secrets/',
  verbs: allVerbs,
  subresources: [],
  strategy: {
    checkName: checkDnsSubdomain,
    setDefaults(secret) {
      secret.type ??= 'Opaque'
      if (!secret.stringData) return
      // Write-only, for people: what is stored and read is `data`.
      const encoded = Object.entries(secret.stringData).map(([key, text]) => [
        key,
        Buffer.from(text).toString('base64'),
      ])
      secret.data = { ...secret.data, ...Object.fromEntries(encoded) }
      delete secret.stringData
    },
    validate: validateSecret,
    validateUpdate: validateSecretUpdate,
    fields: { type: (secret) => secret.type ?? '' },
  },
  printer: secretPrinter,
}

export const serviceAccountKind: Kind<ServiceAccount> = {
  group: '',
  version: 'v1',
  kind: 'ServiceAccount',
  resource: 'serviceaccounts',
  singular: 'serviceaccount',
  shortNames: ['sa'],
  namespaced: true,
  definition: 'io.k8s.api.core.v1.ServiceAccount',
  storedAt: '/registry/serviceaccounts/',
  verbs: allVerbs,
  subresources: [
    { name: 'token', verbs: ['create'], group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
  ],
  strategy: { checkName: checkDnsSubdomain },
  printer: serviceAccountPrinter,
}
