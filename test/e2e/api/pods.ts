/** Commands for which a pod has to run, and those that ask who one is. */
import { busybox } from '../manifests.ts'
import { type Command, command, json } from './command.ts'

const script =
  'echo hello; mkdir -p /www; echo page > /www/index.html; httpd -p 8080 -h /www; while :; do sleep 0.2; done'
const metadata = { name: 'server', labels: { app: 'server' } }
const server = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata,
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'web', image: busybox, command: ['sh', '-c', script], ports: [{ containerPort: 8080 }] }],
  },
}

export const running: readonly Command[] = [
  command('apply -f -', /^pod\/server created/, { input: json(server) }),
  command(`run once --image=${busybox} --restart=Never --command -- true`, /^pod\/once created/),
  command('wait pod/server --for=condition=Ready --timeout=60s', /condition met/),
  command('get pods -o wide', /^server\s+1\/1\s+Running/m),
  command('logs server', /^hello$/m),
  command('logs server --tail=1 --timestamps', /Z hello$/m),
  command('logs -l app=server --prefix', /\[pod\/server\/web\]/),
  command('logs server -c other', /container other is not valid for pod server/, { code: 1 }),
  command('exec server -- cat /www/index.html', /^page$/m),
  command('exec -i server -- cat', /^given$/m, { input: 'given\n' }),
  command('exec server -- sh -c exit~3', /exit code 3/, { code: 3 }),
  command('cp server:/www/index.html /tmp/@-page', /^/),
  command('cp /tmp/@-page server:/www/other.html', /^/),
  command('exec server -- cat /www/other.html', /^page$/m),
  command('get --raw /api/v1/namespaces/@/pods/server/proxy/', /^page$/m),
  command('get --raw /api/v1/namespaces/@/pods/http:server:8080/proxy/other.html', /^page$/m),
  command('get --raw /api/v1/nodes/%/proxy/pods', /"name":"server"/),
  command('get --raw /api/v1/nodes/%/proxy/stats/summary', /"node":.*usageNanoCores.*rssBytes":\d{7,}.*"pods":/),
  command('get --raw /api/v1/nodes/%/proxy/metrics/resource', /^pod_cpu_usage_seconds_total/m),
  command('top nodes', /^%\s+\d+m/m),
  command('top pods', /^server\s+\d+m\s+\d+Mi/m),
  command('top pods --containers', /^server\s+web\s/m),
  command('top pod server --no-headers', /^server\s/m),
  command('describe pod server', /^Events:/m),
  command('events --for=pod/server', /Started/, { since: 26 }),
  command('get events --field-selector=involvedObject.name=server', /Started/),
  command('label pod server more=1', /labeled/),
  command(`debug server --image=${busybox} --copy-to=copy --container=debugger --attach=false -- sleep 1`, /^/, {
    since: 23,
  }),
  command('get pod copy -o jsonpath={.spec.containers[*].name}', /debugger/, { since: 23 }),
  command(`debug node/% --image=${busybox} --profile=general -- true`, /Creating debugging pod/, { since: 27 }),
  command('expose pod server --port=80 --target-port=8080 --name=served', /exposed/),
  command('wait pod/once --for=jsonpath={.status.phase}=Succeeded --timeout=30s', /condition met/, { since: 23 }),
  command('get pods --field-selector=status.phase=Succeeded', /once/),
  command('drain % --pod-selector=app=server --force --timeout=30s', /evicted/),
  command('uncordon %', /uncordoned/),
  command('delete pod once copy --ignore-not-found --now', /deleted/),
  command('delete pod server --ignore-not-found --wait', /^/),
]

export const asking: readonly Command[] = [
  command('auth can-i get pods', /^yes/),
  command('auth can-i get pods --as=nobody', /^no/, { code: 1 }),
  command('auth can-i --list', /Resources/),
  command('auth whoami', /Username/, { since: 27 }),
  command('create serviceaccount asker', /created/),
  command('create token asker', /^ey/, { since: 24 }),
  command('create token asker --duration=10m --audience=other', /^ey/, { since: 24 }),
  command('auth reconcile -f -', /reconciled/, {
    input: json({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'reconciled', namespace: '@' },
      rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
    }),
  }),
  command('get pods --as=nobody', /Forbidden/, { code: 1 }),
]

/** Of a key that nobody has kept. */
const request = `LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIYk1JR0NBZ0VBTUNBeERUQUxCZ05WQkFNTUJHcGhibVV4RHpBTkJnTlZCQW9NQm5CbGIzQnNaVEJaTUJNRwpCeXFHU000OUFnRUdDQ3FHU000OUF3RUhBMElBQkF2a2lqeTdhVnZIWHRocERid1QxRTVvWjN1Rmg4a0hXYWRmClZyZzlkSzVoL01uWGpOTnRTZ08zcGRxbjFJdDI2WEl4dE4waGRaTkhNTTlFdGxpdXAvK2dBREFLQmdncWhrak8KUFFRREFnTklBREJGQWlFQTVwbXBKblY3blloWWhkU2xzdDdhZEVoeGQwUkkzQnV6bE5BUXFrMzczbklDSUhIcAptTmh6cTVxRGl3SDhueENxTVVOVUt2Ly9NMlJsWmp6Y2pNSHlaS3JuCi0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=`

const signing = (name: string) =>
  json({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name },
    spec: { request, signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] },
  })

export const certifying: readonly Command[] = [
  command('create -f -', /^certificatesigningrequest.certificates.k8s.io\/@-yes created/, { input: signing('@-yes') }),
  command('create -f -', /created/, { input: signing('@-no') }),
  command('get csr @-yes', /kubernetes.io\/kube-apiserver-client.*Pending/),
  command('certificate approve @-yes', /@-yes approved/),
  command('certificate deny @-no', /@-no denied/),
  command('get csr @-yes', /Approved/),
  command('get csr @-no', /Denied/),
  command('describe csr @-yes', /^Status:\s+Approved/m),
  command('delete csr @-yes @-no', /deleted/),
]
