"""Slinky, SLURM on Kubernetes: data, and what its two charts are told.

SO = github.com/SlinkyProject/slurm-operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Final

from names import JSON
from releases.charts import mirrored, put, requests
from releases.shapes import Footprint, Operand, PullPolicy, Trap, total

OPERATOR_CHART: Final = "slurm-operator"
CLUSTER_CHART: Final = "slurm"
NODE_SET: Final = "worker"
"""Key of the one NodeSet; its SLURM nodes are worker-0 and following."""
RESERVED_PARTITIONS: Final = ("all", "default")
"""Names of partitions that SLURM takes for itself, in any case (slurm.conf: PartitionName=DEFAULT, Nodes=ALL)."""


@dataclass(frozen=True, kw_only=True)
class SlinkyRelease:
    """A release of Slinky's charts `slurm-operator` and `slurm`, which have one version."""

    version: str
    """Without v, as chart version."""
    released: date
    registry: str
    slurm: str
    """Tag of its images: SLURM's version and their base."""
    operator_images: Mapping[str, str]
    """Images without tag by value path, of the operator's chart."""
    images: Mapping[str, str]
    """Images with tag by value path, of the cluster's chart."""
    operator_operands: tuple[Operand, ...]
    operands: tuple[Operand, ...]
    """What runs beside the workers, by container, with its requests. None of it was measured."""
    worker_operands: tuple[Operand, ...]
    """What runs in each worker's pod beside its daemon."""
    pods: int
    """Long-running pods of both charts, without the workers."""
    source: str
    traps: tuple[Trap, ...]


def _operand(key: str, cpu: int, memory: int, limit: int) -> Operand:
    return Operand(name=key, cpu_millicores=cpu, memory_mib=memory, memory_limit_mib=limit, key=f"{key}.resources")


_SLINKY = "ghcr.io/slinkyproject"
_SLURM = "26.05-ubuntu26.04"
_ALPINE = "docker.io/library/alpine:3.22"

_1_2_1: Final = SlinkyRelease(
    version="1.2.1",
    released=date(2026, 7, 30),
    registry=f"oci://{_SLINKY}/charts",
    slurm=_SLURM,
    operator_images=MappingProxyType(
        {"operator.image": f"{_SLINKY}/slurm-operator", "webhook.image": f"{_SLINKY}/slurm-operator-webhook"}
    ),
    images=MappingProxyType(
        {
            "controller.slurmctld.image": f"{_SLINKY}/slurmctld:{_SLURM}",
            "controller.reconfigure.image": f"{_SLINKY}/slurmctld:{_SLURM}",
            "controller.logfile.image": _ALPINE,
            "restapi.slurmrestd.image": f"{_SLINKY}/slurmrestd:{_SLURM}",
            f"nodesets.{NODE_SET}.slurmd.image": f"{_SLINKY}/slurmd:{_SLURM}",
            f"nodesets.{NODE_SET}.logfile.image": _ALPINE,
        }
    ),
    operator_operands=(_operand("operator", 50, 128, 512), _operand("webhook", 50, 64, 256)),
    operands=(
        _operand("controller.slurmctld", 100, 256, 1024),
        _operand("controller.reconfigure", 10, 32, 128),
        _operand("controller.logfile", 10, 16, 64),
        _operand("restapi.slurmrestd", 50, 64, 512),
    ),
    worker_operands=(_operand(f"nodesets.{NODE_SET}.logfile", 10, 16, 64),),
    pods=4,
    source="SO@v1.2.1:helm",
    traps=(
        Trap(
            id="workers-are-privileged",
            sentence="a worker's container is always privileged: it sees every GPU of its node, and SLURM gives "
            "jobs all of them, whatever Kubernetes granted",
            handling="a worker takes all GPUs of its node, and the team needs isolation: privileged",
            source="SO@v1.2.1:internal/builder/workerbuilder/worker_app.go",
        ),
        Trap(
            id="gres-types-unset",
            sentence="the chart never writes GresTypes, although its documentation says so: jobs can't ask for GPUs",
            handling="we write it",
            source="SO@v1.2.1:helm/slurm/values.yaml (controller.extraConfMap)",
        ),
        Trap(
            id="keys-by-lookup",
            sentence="each rendering of the chart makes new keys, and their Secrets are immutable",
            handling="we install it as a Helm Release, never as rendered objects",
            source="SO@v1.2.1:helm/slurm/templates/secrets/slurmkey.yaml",
        ),
        Trap(
            id="moving-tag",
            sentence="the containers that print logs are alpine:latest",
            handling="we pin them",
            source="SO@v1.2.1:helm/slurm/values.yaml (logfile)",
        ),
    ),
)

SLINKY: Final[Mapping[str, SlinkyRelease]] = MappingProxyType({r.version: r for r in (_1_2_1,)})
DEFAULT_SLINKY: Final = "1.2.1"


def cost(release: SlinkyRelease, workers: int) -> Footprint:
    """What SLURM asks of the team beside its workers' daemons: requests, and pods without the workers."""
    every = (*release.operator_operands, *release.operands, *(release.worker_operands * workers))
    return replace(total(every), pods=release.pods)


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The workers of one SLURM cluster: SLURM's own size of each, and the pod that carries it.

    `gpus`: all GPUs of a node. `labels`, `pod`: what places the pod, in Kubernetes' words.
    """

    replicas: int
    gpus: int
    cpu: str
    memory: str
    memory_limit: str
    labels: Mapping[str, str]
    pod: Mapping[str, JSON]


def slinky_operator_values(
    release: SlinkyRelease,
    *,
    namespace: str,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values of the operator, for one namespace."""
    values: dict[str, JSON] = {}
    put(values, "crds.enabled", True)
    # a team's cluster has no cert-manager; the webhook makes a certificate of its own then
    put(values, "certManager.enabled", False)
    for part in ("operator", "webhook"):
        put(values, f"{part}.namespaces", namespace)
    for operand in release.operator_operands:
        put(values, str(operand.key), requests(operand))
    if image_registry is not None:
        for key, image in release.operator_images.items():
            put(values, f"{key}.repository", mirrored(image, image_registry))
    if pull_policy is not None:
        for key in ("imagePullPolicy", "operator.imagePullPolicy", "webhook.imagePullPolicy"):
            put(values, key, pull_policy)
    return values


def slinky_values(
    release: SlinkyRelease,
    workers: Workers,
    *,
    partition: str,
    storage: str,
    image_registry: str | None = None,
    pull_policy: PullPolicy | None = None,
) -> dict[str, JSON]:
    """Return the Helm values of one SLURM cluster: a controller, its REST API, and the workers in one partition.

    `storage`: size of the controller's volume, with jobs and their history.
    """
    values: dict[str, JSON] = {}
    at = f"nodesets.{NODE_SET}"
    for operand in (*release.operands, *release.worker_operands):
        put(values, str(operand.key), requests(operand))
    for key, image in release.images.items():
        repository, _, tag = image.rpartition(":")
        put(values, f"{key}.repository", mirrored(repository, image_registry) if image_registry else repository)
        put(values, f"{key}.tag", tag)
    put(values, "configFiles", {"gres.conf": "AutoDetect=nvidia\n"})
    put(values, "controller.extraConfMap", {"GresTypes": ["gpu"]})
    put(values, "controller.persistence.resources.requests.storage", storage)
    put(values, f"{at}.replicas", workers.replicas)
    put(values, f"{at}.extraConfMap", {"Gres": [f"gpu:{workers.gpus}"]})
    put(
        values,
        f"{at}.slurmd.resources",
        {
            "requests": {"cpu": workers.cpu, "memory": workers.memory},
            "limits": {"memory": workers.memory_limit, "nvidia.com/gpu": workers.gpus},
        },
    )
    put(values, f"{at}.metadata", {"labels": dict(workers.labels)})
    put(values, f"{at}.podSpec", dict(workers.pod))
    put(values, f"partitions.{partition}", {"enabled": True, "nodesets": [NODE_SET], "configMap": {"Default": "YES"}})
    if pull_policy is not None:
        put(values, "imagePullPolicy", pull_policy)
    return values
