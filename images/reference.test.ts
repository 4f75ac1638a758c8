import { describe, expect, it } from 'vitest'
import { formatReference, parseReference } from './reference.ts'

const digest = `sha256:${'a'.repeat(64)}`

describe('parseReference', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['library/nginx', 'docker.io/library/nginx:latest'],
    ['team/app', 'docker.io/team/app:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['host:5000/a/b/c:v1', 'host:5000/a/b/c:v1'],
    ['quay.io/a/b__c/d-e.f', 'quay.io/a/b__c/d-e.f:latest'],
    ['Host/app', 'Host/app:latest'],
    ['[::1]:5000/app:1', '[::1]:5000/app:1'],
    ['10.0.0.1/app', '10.0.0.1/app:latest'],
    [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
    [`nginx:1@${digest}`, `docker.io/library/nginx:1@${digest}`],
    ['a--b/c', 'docker.io/a--b/c:latest'],
  ])('%s is %s', (text, complete) => {
    expect(formatReference(parseReference(text))).toBe(complete)
    expect(formatReference(parseReference(complete))).toBe(complete)
  })

  it.each([
    '',
    'NGINX',
    'a/B',
    'a..b',
    'a/',
    '/a',
    'a//b',
    'a___b',
    '-a',
    'a-',
    'a:',
    'a:-x',
    `a:${'x'.repeat(129)}`,
    'a@sha256:123',
    'a@md5:0123456789abcdef0123456789abcdef',
    `a@${digest}@${digest}`,
    'a b',
    'https://a/b',
    'a/b:c:d',
    'a'.repeat(256),
    'f'.repeat(64),
    'host:port/app',
    '../../etc/passwd',
  ])('%j is refused', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'IMAGE_REFERENCE_INVALID' }))
  })
})
