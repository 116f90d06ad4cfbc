"""The objects of a team's app, as data. Pure: no Pulumi import.

Owns: the Deployment, and what people reach it by (Service, Ingress and NetworkPolicy on the host).
Leaves to others: how a pod gets its GPU (`pods.py`), the default page (`probe/page.py`).
"""

from __future__ import annotations

from components.restricted import container_security
from components.workloads.pods import (
    CODE_FOLDER,
    STAMP,
    Placement,
    Spec,
    pod_template,
    pull,
    resources,
    selector,
    stamp,
)
from names import JSON
from settings.workload_parts import Ingress
from settings.workloads import App

PAGE_HEALTH = "/healthz"


def has_own_page(workload: App) -> bool:
    """Whether our own page runs: the team has set neither image nor command."""
    return workload.image is None and not workload.command


def deployment_spec(
    name: str, workload: App, place: Placement, image: str, secret: str | None, page_code: str | None
) -> Spec:
    """The Deployment. With a GPU the old pod is deleted first, because the new one would wait for its GPU."""
    env: list[JSON] = [
        {"name": "PORT", "value": str(workload.port)},
        {"name": "HOME", "value": "/tmp"},
        {"name": "APP_NAME", "value": name},
        {"name": "APP_TEAM", "value": place.team},
        {"name": "APP_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "APP_SECRETS", "value": ",".join(workload.secrets)},
    ]
    if secret is not None:
        env += [{"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}} for key in workload.secrets]
    health = PAGE_HEALTH if page_code is not None else workload.health_path
    container: Spec = {
        "name": "app",
        "image": image,
        **pull(place),
        "env": env,
        "ports": [{"name": "http", "containerPort": workload.port, "protocol": "TCP"}],
        "resources": resources(workload.cpu, workload.memory, workload.memory_at_most, workload.gpu),
        "securityContext": container_security(),
        "readinessProbe": {"httpGet": {"path": health, "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 5},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    volumes: list[JSON] = [{"name": "tmp", "emptyDir": {}}]
    if page_code is not None:
        container["command"] = ["python3", f"{CODE_FOLDER}/page.py"]
        container["volumeMounts"] = [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "code", "mountPath": CODE_FOLDER, "readOnly": True},
        ]
        volumes.append({"name": "code", "configMap": {"name": f"{name}-page"}})
    elif workload.command:
        container["command"] = list[JSON](workload.command)
    template = pod_template(place, name, workload.gpu, workload.queue, container, volumes)
    if page_code is not None:
        metadata = template["metadata"]
        assert isinstance(metadata, dict)
        annotations = metadata["annotations"]
        assert isinstance(annotations, dict)
        # a change of a ConfigMap restarts no pod by itself
        annotations[STAMP] = stamp(page_code)
    return {
        "replicas": workload.replicas,
        "strategy": {"type": "Recreate" if workload.gpu is not None else "RollingUpdate"},
        "selector": {"matchLabels": dict(selector(name))},
        "template": template,
    }


def ingress_spec(ingress: Ingress, service: str) -> Spec:
    """The Ingress on the host, to the Service on the host."""
    path: Spec = {
        "path": "/",
        "pathType": "Prefix",
        "backend": {"service": {"name": service, "port": {"name": "http"}}},
    }
    spec: Spec = {"rules": [{"host": ingress.host, "http": {"paths": [path]}}]}
    if ingress.class_name is not None:
        spec["ingressClassName"] = ingress.class_name
    return spec


def way_in(name: str, workload: App) -> Spec | None:
    """The NetworkPolicy on the host that opens only this app's port; None where the app is not exposed.

    With a NodePort it allows everybody: the source address is a node's or the client's, depending on the cluster's
    network. With an Ingress it allows only the controller's pods.
    """
    port: Spec = {"port": workload.port, "protocol": "TCP"}
    if workload.expose.ingress is not None:
        namespace = workload.expose.ingress.controller_namespace
        peer: Spec = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
        rule: Spec = {"from": [peer], "ports": [port]}
    elif workload.expose.node_port is not None:
        rule = {"ports": [port]}
    else:
        return None
    return {"podSelector": {"matchLabels": dict(selector(name))}, "policyTypes": ["Ingress"], "ingress": [rule]}
