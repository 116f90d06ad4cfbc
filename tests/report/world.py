"""A small stand-in for engine and program: two stack files in, the JSON of `pulumi preview --json` out.

It has the resources that a reviewer looks at, named, typed and nested as the components do it, and the engine's shape
(pkg/display/json.go, PreviewDigest). It exists so that the report is tested in milliseconds; `test_shape.py` holds its
type tokens against the components' own.
"""

from __future__ import annotations

from typing import Any

import releases
from report.rehearsal import Resource as Recorded
from report.rehearsal import compare
from report.versions import kai_version
from settings.models import Platform, Team
from settings.tenants import canary_of, slot_of, tenants

Resource = dict[str, Any]
PROJECT = "gpu-tenancy"
INDEX = "gpu-tenancy:index:"
LABELS = {"app.kubernetes.io/managed-by": "gpu-tenancy"}


def platform(
    teams: dict[str, Any],
    pools: dict[str, Any] | None = None,
    *,
    host: dict[str, Any] | None = None,
    check: dict[str, Any] | None = None,
) -> Platform:
    """A stack file with these teams; two pools unless said otherwise."""
    return Platform.model_validate(
        {
            "host": {"provider": "existing", "context": "gpu-host", "address": "gpu-host.example.com", **(host or {})},
            "gpu": {"stack": "devicePlugin"},
            "pools": pools
            or {
                "a100": {
                    "nodes": ["gpu-0", "gpu-1"],
                    "gpusPerNode": 8,
                    "gpuMemoryMib": 81920,
                    "product": "NVIDIA-A100",
                },
                "l4": {"nodes": ["gpu-2"], "gpusPerNode": 1, "sharing": {"timeSlicing": {"replicas": 4}}},
            },
            "teams": teams,
            "check": check or {},
        }
    )


def team(
    pool: str | None,
    quota: int = 0,
    limit: int | None = None,
    *,
    version: str = "v0.9.3",
    queues: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A team of a stack file, as YAML would say it."""
    if pool is None:
        return {"scheduler": {"mode": "default"}, "resources": {"cpu": 4, "memory": "8Gi", "pods": 10}, **more}
    limit = quota if limit is None else limit
    return {
        "pool": pool,
        "scheduler": {"mode": "virtual", "version": version},
        "resources": {"gpus": {"quota": quota, "limit": limit}, "cpu": 4, "memory": "8Gi", "pods": 20},
        "queues": queues or {"default": {"gpu": {"quota": quota, "limit": limit}}},
        **more,
    }


class World:
    """The resources of one stack file, by URN."""

    def __init__(self, stack: str, settings: Platform | None) -> None:
        self.stack = stack
        self.resources: dict[str, Resource] = {}
        if settings is None:
            return
        self.root = self._urn("pulumi:pulumi:Stack", f"{PROJECT}-{stack}")
        self.resources[self.root] = {"inputs": {}, "parent": ""}
        host = self.add("HostCluster", "host", {"provider": settings.host.provider.value})
        self.add("pulumi:providers:kubernetes", "host", {"kubeconfig": "[secret]"}, host)
        for name, pool in settings.pools.items():
            facts = {
                "name": name,
                "nodes": list(pool.nodes),
                "gpusPerNode": pool.gpus_per_node,
                "replicas": pool.replicas,
            }
            parent = self.add("NodePool", name, facts)
            for node in pool.nodes:
                inputs = self._object("v1", "Node", node, labels={"gpu-tenancy/pool": name})
                self.add("kubernetes:core/v1:NodePatch", f"{name}-{node}", inputs, parent)
        software = self.add("GpuSoftware", "gpu-software", {"stack": settings.gpu.stack.value})
        self.add("kubernetes:node.k8s.io/v1:RuntimeClass", "runtime-class", {"handler": "nvidia"}, software)
        chart = {
            "name": "nvidia-device-plugin",
            "chart": "nvidia-device-plugin",
            "version": releases.DEFAULT_DEVICE_PLUGIN,
        }
        self.add("kubernetes:helm.sh/v3:Release", "device-plugin", chart, software)
        for name, found in tenants(settings).items():
            self._team(settings, name, found)

    def _urn(self, token: str, name: str, parent: str | None = None) -> str:
        chain = ""
        if parent and parent != getattr(self, "root", None):
            chain = parent.split("::")[2] + "$"
        return f"urn:pulumi:{self.stack}::{PROJECT}::{chain}{token}::{name}"

    def add(self, token: str, name: str, inputs: dict[str, Any], parent: str | None = None, **more: Any) -> str:
        """Register a resource; a bare class name is a component of ours."""
        token = token if ":" in token else INDEX + token
        urn = self._urn(token, name, parent)
        self.resources[urn] = {"inputs": inputs, "parent": parent or self.root, **more}
        return urn

    def recording(self) -> dict[str, Recorded]:
        """The resources as a rehearsal records them."""
        return {
            urn: Recorded(inputs=found["inputs"], parent=found["parent"], replace_key=found.get("trigger", ""))
            for urn, found in self.resources.items()
        }

    def _object(
        self, version: str, kind: str, name: str, namespace: str = "", labels: dict[str, str] | None = None
    ) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": name, "labels": {**LABELS, **(labels or {})}}
        if namespace:
            metadata["namespace"] = namespace
        return {"apiVersion": version, "kind": kind, "metadata": metadata}

    def _team(self, platform: Platform, name: str, settings: Team) -> None:
        gpus = settings.resources.gpus
        labels, space = {"gpu-tenancy/team": name}, f"team-{name}"
        facts = {
            "name": name,
            "pool": settings.pool,
            "mode": settings.scheduler.mode.value,
            "schedulerVersion": kai_version(settings),
            "gpuQuota": gpus.quota,
            "gpuLimit": gpus.limit,
            "isolation": settings.isolation.value,
            **({"canaryOf": serves} if (serves := canary_of(platform, name)) else {}),
            **({"blueGreen": slot} if (slot := slot_of(platform, name)) else {}),
        }
        owner = self.add("Team", name, facts)
        guards = self.add("Guardrails", f"{name}-guardrails", {"team": name}, owner)
        pod_security = {"pod-security.kubernetes.io/enforce": settings.isolation.value}
        self.add(
            "kubernetes:core/v1:Namespace",
            f"{name}-namespace",
            self._object("v1", "Namespace", space, labels={**labels, **pod_security}),
            guards,
        )
        hard = {
            "requests.nvidia.com/gpu": str(gpus.limit),
            "requests.cpu": settings.resources.cpu,
            "requests.memory": settings.resources.memory,
            "pods": str(settings.resources.pods),
        }
        quota = {**self._object("v1", "ResourceQuota", "tenant", space, labels), "spec": {"hard": hard}}
        self.add("kubernetes:core/v1:ResourceQuota", f"{name}-quota", quota, guards)
        self.add(
            "kubernetes:core/v1:LimitRange",
            f"{name}-limits",
            self._object("v1", "LimitRange", "tenant", space, labels),
            guards,
        )
        for policy in ("deny-all", "same-team", "dns"):
            inputs = self._object("networking.k8s.io/v1", "NetworkPolicy", policy, space, labels)
            self.add("kubernetes:networking.k8s.io/v1:NetworkPolicy", f"{name}-{policy}", inputs, guards)
        version = settings.vcluster.version or releases.DEFAULT_VCLUSTER
        cluster = self.add("VirtualCluster", f"{name}-virtual-cluster", {"team": name, "version": version}, owner)
        release = {"name": name, "namespace": space, "chart": "vcluster", "version": version, "atomic": True}
        self.add("kubernetes:helm.sh/v3:Release", f"{name}-virtual-cluster-vcluster", release, cluster)
        self.add("pulumi:providers:kubernetes", f"{name}-virtual-cluster-inner", {"kubeconfig": "[secret]"}, cluster)
        kai = kai_version(settings)
        if kai is not None:
            self._scheduler(name, kai, owner, labels)
            self._queues(name, settings, owner, labels)
        if gpus.limit:
            self._check(name, owner, labels)

    def _scheduler(self, name: str, version: str, owner: str, labels: dict[str, str]) -> None:
        line = releases.KAI[version].line if version in releases.KAI else version
        scheduler = self.add(
            "KaiScheduler", f"{name}-scheduler", {"team": name, "version": version, "line": line}, owner
        )
        self.add(
            "kubernetes:core/v1:Namespace",
            f"{name}-scheduler-kai-scheduler",
            self._object("v1", "Namespace", "kai-scheduler", labels=labels),
            scheduler,
        )
        chart = {"name": "kai-scheduler", "namespace": "kai-scheduler", "chart": "kai-scheduler", "version": version}
        values = {"global": {"gpuSharing": False, "registry": "ghcr.io/kai-scheduler"}, "admission": {"replicas": 1}}
        self.add(
            "kubernetes:helm.sh/v3:Release",
            f"{name}-scheduler-release",
            {**chart, "values": values},
            scheduler,
            trigger=line,
        )

    def _queues(self, name: str, settings: Team, owner: str, labels: dict[str, str]) -> None:
        queues = self.add("Queues", f"{name}-queues", {"team": name}, owner)
        gpus = settings.resources.gpus
        parent = {
            **self._object("scheduling.run.ai/v2", "Queue", name, labels=labels),
            "spec": {"resources": {"gpu": {"quota": gpus.quota, "limit": gpus.limit}}},
        }
        self.add("kubernetes:scheduling.run.ai/v2:Queue", f"{name}-queue", parent, queues)
        for leaf, queue in settings.queues.items():
            gpu = queue.gpu.model_dump(by_alias=True)
            spec = {"parentQueue": name, "priority": queue.priority, "resources": {"gpu": gpu}}
            inputs = {**self._object("scheduling.run.ai/v2", "Queue", leaf, labels=labels), "spec": spec}
            self.add("kubernetes:scheduling.run.ai/v2:Queue", f"{name}-queue-{leaf}", inputs, queues)

    def _check(self, name: str, owner: str, labels: dict[str, str]) -> None:
        check = self.add("GpuCheck", f"{name}-check", {"team": name, "gpus": 1}, owner)
        self.add(
            "kubernetes:core/v1:Namespace",
            f"{name}-check-namespace",
            self._object("v1", "Namespace", "gpu-check", labels=labels),
            check,
        )
        job = self._object("batch/v1", "Job", "gpu-check", "gpu-check", labels)
        self.add("kubernetes:batch/v1:Job", f"{name}-check-job", job, check)


def digest(base: Platform | None, head: Platform | None, *, stack: str = "prod") -> dict[str, Any]:
    """What the engine would print for the way from `base` to `head`."""
    return diff(World(stack, base), World(stack, head))


def diff(before: World, after: World) -> dict[str, Any]:
    """The steps between two worlds, in the engine's words: a replacement is three steps of one URN."""
    found = compare(before.recording(), after.recording(), made_by="engine")
    steps: list[dict[str, Any]] = []
    for step in found["steps"]:
        halves = ("create-replacement", "replace", "delete-replaced") if step["op"] == "replace" else (step["op"],)
        steps += [{**step, "op": half} for half in halves]
    return {**found, "steps": steps, "config": {"gpu-tenancy:kubeconfig": "[secret]"}, "duration": 5_000_000_000}
