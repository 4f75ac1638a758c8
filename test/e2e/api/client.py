"""What Python's client does with a cluster, told as JSON: `client.py POD` with a pod that says `tick`."""
import json
import sys
import threading

from kubernetes import client, config, dynamic, watch
from kubernetes.stream import stream

pod = sys.argv[1]
config.load_kube_config()
core, apps = client.CoreV1Api(), client.AppsV1Api()
namespace = 'default'
told = {}

seen = []
watched = threading.Event()


def follow():
    for event in watch.Watch().stream(core.list_namespaced_config_map, namespace, timeout_seconds=60):
        if event['object'].metadata.name != 'from-python':
            watched.set()
            continue
        seen.append(event['type'])
        if event['type'] == 'DELETED':
            return


follower = threading.Thread(target=follow)
follower.start()
watched.wait(30)

made = core.create_namespaced_config_map(namespace, {'metadata': {'name': 'from-python'}, 'data': {'a': '1'}})
core.patch_namespaced_config_map('from-python', namespace, {'data': {'b': '2'}})
pairs = [{'op': 'add', 'path': '/data/c', 'value': '3'}]
told['patched'] = core.patch_namespaced_config_map('from-python', namespace, pairs).data
made.data = {'a': 'late'}
try:
    core.replace_namespaced_config_map('from-python', namespace, made)
except client.ApiException as error:
    told['late'] = [error.status, json.loads(error.body)['reason']]
resource = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version='v1', kind='ConfigMap')
told['dynamic'] = resource.get(name='from-python', namespace=namespace).to_dict()['data']
core.delete_namespaced_config_map('from-python', namespace)
follower.join(60)
told['watched'] = seen

spec = {'selector': {'matchLabels': {'app': 'py'}}, 'template': {'metadata': {'labels': {'app': 'py'}}}}
spec['template']['spec'] = {'containers': [{'name': 'main', 'image': 'x'}]}
apps.create_namespaced_deployment(namespace, {'metadata': {'name': 'py'}, 'spec': {**spec, 'replicas': 0}})
told['scale'] = apps.read_namespaced_deployment_scale('py', namespace).spec.replicas
apps.delete_namespaced_deployment('py', namespace)

page = core.list_namespaced_service_account(namespace, limit=1)
told['pages'] = [len(page.items), page.metadata._continue]
told['log'] = core.read_namespaced_pod_log(pod, namespace, tail_lines=1)
command = ['sh', '-c', 'echo out; echo err >&2; exit 3']
channels = stream(
    core.connect_get_namespaced_pod_exec, pod, namespace, command=command, stdout=True, stderr=True, _preload_content=False
)
channels.run_forever(timeout=30)
told['exec'] = [channels.read_stdout(), channels.read_stderr(), channels.returncode]
print(json.dumps(told))
