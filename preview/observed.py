"""Facts from resources: what a preview's steps, or a stack's state, say about a stack. Pure.

Owns: which input of which component or object is which fact. Both sides of a preview are read by the same rules, so a
difference is always a change, never another notation.
Leaves to others: facts of a stack file (`facts.py`), what a difference means (`table`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from pydantic import JsonValue

import tokens
from lenient import at
from names import CACHE, LABEL_TEAM, LABEL_WORKLOAD, team_of_namespace
from preview.facts import (
    BLUE_GREEN,
    CANARY_OF,
    CLUSTER_UID,
    DRIVER,
    HARD,
    MADE,
    REPLICAS,
    Facts,
    bounds,
    made,
    operators_driver,
)
from preview.steps import Op, Preview, Step
from preview.values import UnreadableError, get, plain, text
from releases.slinky import NODE_SET

_TEAM_FIELDS: Final = {
    "pool": "pool",
    "nodes": "nodes",
    "mode": "scheduler.mode",
    "gpuSharing": "scheduler.gpuSharing.enabled",
    "gpuSharingEnforce": "scheduler.gpuSharing.enforce",
    "gpuQuota": "resources.gpus.quota",
    "gpuLimit": "resources.gpus.limit",
    "cpu": "resources.cpu",
    "memory": "resources.memory",
    "pods": "resources.pods",
    "isolation": "isolation",
    "priority": "priority",
    "vclusterVersion": "vcluster.version",
    CANARY_OF: CANARY_OF,
    BLUE_GREEN: BLUE_GREEN,
}
"""A Team's inputs, and the fact of each (`components/team/tenant.py`, `facts`)."""
_QUEUE_FIELDS: Final = {
    "quota": "gpu.quota",
    "limit": "gpu.limit",
    "overQuotaWeight": "gpu.overQuotaWeight",
    "priority": "priority",
}
_CLUSTER_FIELDS: Final = {
    "version": "vcluster.version",
    "kubernetesVersion": "vcluster.kubernetesVersion",
    "persistence": "vcluster.persistence",
    "backingStore": "vcluster.backingStore",
    "snapshotsSize": "vcluster.snapshots.size",
}
_POOL_FIELDS: Final = {
    "nodes": "nodes",
    "selector": "selector",
    "gpusPerNode": "gpusPerNode",
    "gpuMemoryMib": "gpuMemoryMib",
    "product": "product",
    "replicas": REPLICAS,
}
_SOFTWARE_FIELDS: Final = {
    "stack": "gpu.stack",
    "owner": "gpu.owner",
    "version": "gpu.version",
    "runtimeClass": "gpu.runtimeClass.name",
}
_MAY_BE_NONE: Final = frozenset(
    {
        "pool",
        CANARY_OF,
        BLUE_GREEN,
        "selector",
        "gpuMemoryMib",
        "product",
        "version",
        "runtimeClass",
    }
)
"""Inputs that are missing where their value is None: the SDK sends no null."""
_HOST_FIELDS: Final = {"hostProvider": "host.provider", "context": "host.context"}
_SCRIPT_FIELDS: Final = {
    "K3S_VERSION": "host.k3s.version",
    "MICROK8S_CHANNEL": "host.microk8s.channel",
}
"""Variables of a host's script, and the fact of each (`settings/hosts`)."""
_SSH_FIELDS: Final = ("host", "hostKey")
_VARIABLE: Final = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)
_EXPOSED: Final = {"NodePort": "nodePort", "LoadBalancer": "loadBalancer"}

Inputs: TypeAlias = Mapping[str, JsonValue]


class _Collector:
    """Facts of one side, resource by resource."""

    def __init__(self) -> None:
        self.stack: dict[str, JsonValue] = {}
        self.pools: dict[str, dict[str, JsonValue]] = {}
        self.tenants: dict[str, dict[str, JsonValue]] = {}
        self.beside: dict[str, dict[str, JsonValue]] = {}
        """Facts from objects in a tenant's namespace."""
        self.stays: set[str] = set()
        """Tenants with an object on both sides: they exist, whatever else the preview lists."""

    def facts(self) -> Facts:
        for name, found in self.beside.items():
            if name in self.tenants or name in self.stays:
                self.tenants.setdefault(name, {}).update(found)
        return Facts(stack=self.stack, pools=self.pools, tenants=self.tenants)

    def tenant(self, name: str) -> dict[str, JsonValue]:
        return self.tenants.setdefault(name, {})

    def team(self, inputs: Inputs) -> None:
        found = self.tenant(text(inputs, "name") or "?")
        found.update(_picked(inputs, _TEAM_FIELDS))
        own = inputs.get("mode") == "virtual"
        found["scheduler.version"] = inputs.get("schedulerVersion") if own else None
        found["state"] = inputs.get("state", "active")
        queues = inputs.get("queues")
        for leaf, queue in queues.items() if isinstance(queues, dict) else ():
            if isinstance(queue, dict):
                found.update({f"queues.{leaf}.{k}": v for k, v in _picked(queue, _QUEUE_FIELDS).items()})

    def virtual_cluster(self, inputs: Inputs) -> None:
        self.tenant(text(inputs, "team") or "?").update(_picked(inputs, _CLUSTER_FIELDS))

    def pool(self, inputs: Inputs) -> None:
        self.pools.setdefault(text(inputs, "name") or "?", {}).update(_picked(inputs, _POOL_FIELDS))

    def host_cluster(self, inputs: Inputs) -> None:
        self.stack.update(_picked(inputs, _HOST_FIELDS))
        # every stack has this resource: what is not listed with it does not exist
        self.stack.setdefault(MADE, None)
        self.stack.setdefault("slurm.host", None)

    def installed_host(self, inputs: Inputs) -> None:
        ssh = inputs.get("ssh")
        host = ssh if isinstance(ssh, str) else None
        self.stack[MADE] = made(text(inputs, "provider"), text(inputs, "name"), host, install=inputs)

    def slurm(self, inputs: Inputs) -> None:
        self.stack.update({f"slurm.{name}": inputs[name] for name in ("host", "gpus", "partition") if name in inputs})

    def workloads(self, inputs: Inputs) -> None:
        found = inputs.get("workloads")
        for name, kind in found.items() if isinstance(found, dict) else ():
            self.tenant(text(inputs, "team") or "?")[f"workloads.{name}.kind"] = kind

    def software(self, inputs: Inputs) -> None:
        self.stack.update(_picked(inputs, _SOFTWARE_FIELDS))
        self.stack[DRIVER] = operators_driver(text(inputs, "version")) if "driver" in inputs else "host"

    def scheduler(self, inputs: Inputs) -> None:
        if inputs.get("team") is None and "version" in inputs:
            self.stack["host.scheduler.version"] = inputs["version"]

    def command(self, inputs: Inputs) -> None:
        """The script of a host or of SLURM, with the values that no component keeps."""
        said = dict(reversed(_VARIABLE.findall(text(inputs, "stdin"))))  # the first of a name is ours
        part = "slurm" if said.get("PART") == "slurm" else "host"
        if "PART" not in said:
            return
        self.stack.update({fact: said[name].strip("'") for name, fact in _SCRIPT_FIELDS.items() if name in said})
        self.stack.update({f"{part}.connection.ssh.{name}": get(inputs, "connection", name) for name in _SSH_FIELDS})

    def claim(self, inputs: Inputs) -> None:
        """A workload's volume. A live claim also has what Kubernetes chose; what was asked for is beside it."""
        asked = inputs.get("__inputs")
        said = asked if isinstance(asked, dict) else inputs
        team, name = (at(said, "metadata", "labels", label) for label in (LABEL_TEAM, LABEL_WORKLOAD))
        if not isinstance(team, str) or not isinstance(name, str):
            return
        name = name.removesuffix(CACHE)
        found = self.beside.setdefault(team, {})
        found[f"workloads.{name}.cache.size"] = get(said, "spec", "resources", "requests", "storage")
        if said is asked or "status" not in inputs:
            found[f"workloads.{name}.cache.storageClass"] = get(said, "spec", "storageClassName")

    def slinky(self, inputs: Inputs) -> None:
        """SLURM in a team's cluster: the volume of its controller."""
        values = inputs.get("values")
        team = at(values, "nodesets", NODE_SET, "metadata", "labels", LABEL_TEAM)
        size = at(values, "controller", "persistence", "resources", "requests", "storage")
        if isinstance(team, str) and isinstance(size, str):
            self.beside.setdefault(team, {})[f"workloads.{text(inputs, 'name')}.storage"] = size

    def release(self, inputs: Inputs) -> None:
        team = _team_of(inputs)
        self.slinky(inputs)
        if team is None or not text(inputs, "chart").rpartition("/")[2].startswith("vcluster"):
            return
        plane = get(inputs, "values", "controlPlane")
        values = plane if isinstance(plane, dict) else {}
        etcd = get(values, "backingStore", "etcd", "deploy", "enabled") is True
        store = ("backingStore", "etcd", "deploy", "statefulSet") if etcd else ("statefulSet",)
        claim = get(values, *store, "persistence", "volumeClaim")
        found = self.beside.setdefault(team, {})
        found["vcluster.version"] = inputs.get("version")
        found["vcluster.backingStore"] = "etcd" if etcd else "sqlite"
        if inside := get(values, "distro", "k8s", "image", "tag"):
            found["vcluster.kubernetesVersion"] = inside
        if isinstance(claim, dict):
            found["vcluster.persistence"] = claim.get("enabled")
            if claim.get("enabled") is True:
                self.stack["host.storageClass"] = claim.get("storageClass")

    def quota(self, inputs: Inputs) -> None:
        team, hard = _team_of(inputs), get(inputs, "spec", "hard")
        if team is None or not isinstance(hard, dict):
            return
        found = self.beside.setdefault(team, {})
        found[HARD] = bounds(hard)
        if "requests.storage" in hard:
            found["resources.storage"] = hard["requests.storage"]

    def service(self, inputs: Inputs) -> None:
        team, kind = _team_of(inputs), get(inputs, "spec", "type")
        if team is None or get(inputs, "metadata", "name") != f"{team}-api":
            return
        found = self.beside.setdefault(team, {})
        found["access.expose"] = _EXPOSED.get(str(kind), kind)
        ports = get(inputs, "spec", "ports")
        first = ports[0] if isinstance(ports, list) and ports else None
        if isinstance(first, dict):
            found["access.port"] = first.get("nodePort")


_READERS: Final[Mapping[str, Callable[[_Collector, Inputs], None]]] = {
    tokens.TEAM: _Collector.team,
    tokens.VIRTUAL_CLUSTER: _Collector.virtual_cluster,
    tokens.NODE_POOL: _Collector.pool,
    tokens.HOST_CLUSTER: _Collector.host_cluster,
    tokens.INSTALLED_HOST: _Collector.installed_host,
    tokens.SLURM_CLUSTER: _Collector.slurm,
    tokens.TEAM_WORKLOADS: _Collector.workloads,
    tokens.GPU_SOFTWARE: _Collector.software,
    tokens.KAI_SCHEDULER: _Collector.scheduler,
    tokens.RELEASE: _Collector.release,
    tokens.RESOURCE_QUOTA: _Collector.quota,
    tokens.SERVICE: _Collector.service,
    tokens.VOLUME_CLAIM: _Collector.claim,
    **dict.fromkeys(tokens.COMMANDS, _Collector.command),
}


_TELLS_ITSELF: Final = {
    tokens.TEAM: "name",
    tokens.VIRTUAL_CLUSTER: "team",
    tokens.NODE_POOL: "name",
    tokens.HOST_CLUSTER: "hostProvider",
    tokens.INSTALLED_HOST: "provider",
    tokens.SLURM_CLUSTER: "host",
    tokens.TEAM_WORKLOADS: "workloads",
    tokens.GPU_SOFTWARE: "stack",
    tokens.KAI_SCHEDULER: "line",
}
"""For each component, an output that exists only where all facts were kept: an older program kept only some."""


def facts_before(preview: Preview) -> Facts:
    """The facts before a preview's change, as far as the preview shows them."""
    return _side(preview.steps, lambda step: step.old)


def facts_after(preview: Preview) -> Facts:
    """The facts after a preview's change, as far as the preview shows them."""
    return _side(preview.steps, lambda step: None if step.op is Op.DELETE else step.inputs)


def _side(steps: Iterable[Step], of: Callable[[Step], Mapping[str, JsonValue] | None]) -> Facts:
    found = _Collector()
    for step in steps:
        inputs, read = of(step), _READERS.get(step.type)
        if inputs is None or read is None:
            continue
        # the judgement of steps refuses a tenant whose name is not known (`gate.py`)
        with suppress(UnreadableError):
            read(found, values := {key: plain(value) for key, value in inputs.items()})
            team = _team_of(values)
            if team is not None and step.old is not None and step.new is not None:
                found.stays.add(team)
    return found.facts()


def facts_in_state(resources: Mapping[str, object]) -> Facts | None:
    """Return the facts of a stack's last update from its state; None where the state has no part of the platform.

    `resources`: the state's resources by URN, each with `type` and `outputs` (as the engine's
    `readStackResourceOutputs` gives them). A component's outputs are its facts. The outputs of a Kubernetes object and
    of a Helm release are what was asked for. What an older program did not keep is not known.
    """
    found = _Collector()
    for entry in resources.values():
        if not isinstance(entry, dict) or not isinstance(outputs := entry.get("outputs"), dict):
            continue
        kind = str(entry.get("type"))
        if kind == tokens.NAMESPACE and get(outputs, "metadata", "name") == "kube-system":
            found.stack[CLUSTER_UID] = get(outputs, "metadata", "uid")
        elif (read := _READERS.get(kind)) and _TELLS_ITSELF.get(kind, "") in ("", *outputs):
            with suppress(UnreadableError):
                read(found, {key: plain(value) for key, value in outputs.items()})
    return found.facts() if found.tenants or found.stack else None


def _picked(inputs: Inputs, fields: Mapping[str, str]) -> dict[str, JsonValue]:
    return {fact: inputs.get(name) for name, fact in fields.items() if name in inputs or name in _MAY_BE_NONE}


def _team_of(inputs: Inputs) -> str | None:
    """The tenant whose host namespace an object is in."""
    namespace = get(inputs, "metadata", "namespace") or inputs.get("namespace")
    return team_of_namespace(namespace) if isinstance(namespace, str) else None
