"""What a team's workloads say in a stack file, a model for each kind. Pure: no Pulumi import.

Owns: the shape, the units and the defaults of `teams.<team>.workloads`.
Leaves to others: the parts that a kind is made of (`workload_parts.py`), whether they fit the team
(`workload_rules.py`), the objects (`components/workloads`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from capacity import mebibytes
from releases import slinky
from releases.shapes import Footprint
from settings.on_change import ARITHMETIC
from settings.problems import Path
from settings.texts import DnsLabel, EnvName, ImageReference
from settings.types import CpuQuantity, MemoryQuantity, Port, Section, Whole
from settings.workload_parts import (
    MORE_PODS,
    OVERHEAD_MIB,
    OVERHEAD_SHARE,
    RESTARTS,
    SECRET_KEY_PREFIX,
    SMOKE_TEST,
    AppExpose,
    Argument,
    Cache,
    FromConfig,
    FromEnvironment,
    GpuShare,
    ModelName,
    ModelVolume,
    SecretSource,
    Test,
    UrlPath,
)


class _Queued(Section):
    """What all workloads say, and what the program asks of every kind: a kind answers what differs for it."""

    queue: Annotated[DnsLabel | None, RESTARTS] = Field(
        default=None, description="leaf queue of the team; default: the first by name"
    )
    cpu: Annotated[CpuQuantity, RESTARTS] = Field(default="1", description="CPU request, in cores")
    memory: Annotated[MemoryQuantity, RESTARTS] = Field(default="2Gi", description="memory request, in bytes")
    memory_limit: Annotated[MemoryQuantity | None, RESTARTS] = Field(
        default=None, description="memory limit, in bytes; default: the request"
    )

    @property
    def memory_at_most(self) -> str:
        """The memory limit; without one the request."""
        return self.memory_limit or self.memory

    @property
    def beside(self) -> Footprint:
        """What the team pays for beside its own pods."""
        return Footprint(cpu_millicores=0, memory_mib=0, pods=0)

    @property
    def claims(self) -> Mapping[Path, str]:
        """Sizes of the volumes that are made for it, in bytes, each by its key below the workload."""
        return {}

    @property
    def sizes(self) -> Mapping[Path, str]:
        """All sizes in bytes that must be something, each by its key below the workload."""
        return self.claims

    @property
    def charts(self) -> tuple[tuple[str, str], ...]:
        """The charts that it is installed by, each with its version."""
        return ()

    @property
    def way_in(self) -> AppExpose:
        """How it is reached from outside."""
        return AppExpose()

    @property
    def suffix(self) -> str:
        """What is put behind its name, where an object's name is longer than that."""
        return ""

    @property
    def secret_names(self) -> tuple[str, ...]:
        """The stack secrets that it needs, by the name behind `SECRET_KEY_PREFIX`."""
        return ()

    @property
    def environment_names(self) -> tuple[str, ...]:
        """The environment variables that it needs when `up` runs."""
        return ()


class _Pod(_Queued):
    """The keys of workloads with one image."""

    image: Annotated[ImageReference | None, RESTARTS] = Field(
        default=None, description="with a tag or digest; default: the pinned one in releases"
    )


class Inference(_Pod):
    """A vLLM server (or another with its command line and API): Deployment, Service port 80, completion test."""

    kind: Literal["inference"] = Field(description="a model server")
    model: Annotated[ModelName, RESTARTS] = Field(
        description="name at the model hub, or a directory below /models of modelVolume"
    )
    weights: Annotated[MemoryQuantity, ARITHMETIC] = Field(
        description="GPU memory of the model's weights, in bytes: parameters x 2 for 16 bit (1.5 billion: 3G)"
    )
    gpu: GpuShare = Field(description="one of count, fraction and memoryMib")
    cpu: Annotated[CpuQuantity, RESTARTS] = Field(default="4", description="CPU request, in cores")
    memory: Annotated[MemoryQuantity, RESTARTS] = Field(
        default="8Gi", description="memory request, in bytes; the load needs the weights once"
    )
    shared_memory: Annotated[MemoryQuantity, RESTARTS] = Field(
        default="1Gi", description="size of /dev/shm, in bytes; counts in the pod's memory"
    )
    start_seconds: Annotated[Whole, RESTARTS] = Field(
        default=900,
        ge=30,
        le=7200,
        description="seconds that download, load and warm-up may take before it is restarted",
    )
    command: Annotated[tuple[Argument, ...], RESTARTS] = Field(
        default=("vllm", "serve"), min_length=1, max_length=32, description="what takes the model and vLLM's arguments"
    )
    args: Annotated[tuple[Argument, ...], RESTARTS] = Field(
        default=(), max_length=32, description="further arguments of the server"
    )
    cache: Cache | None = Field(
        default=None, description="volume for downloaded models; default: none, gone at restart"
    )
    model_volume: ModelVolume | None = Field(default=None, description="local model directory instead of a download")
    token: Annotated[DnsLabel | None, RESTARTS] = Field(
        default=None, description=f"the hub's token: name of the secret `{SECRET_KEY_PREFIX}<name>` of the stack"
    )
    test: Test = Field(default=Test(), description="what is asked after each deploy")

    @property
    def replicas(self) -> int:
        """A server with a GPU of its own is one pod."""
        return 1

    @property
    def beside(self) -> Footprint:
        """The completion test's pod."""
        return SMOKE_TEST

    @property
    def claims(self) -> Mapping[Path, str]:
        """The cache."""
        return {("cache", "size"): self.cache.size} if self.cache else {}

    @property
    def sizes(self) -> Mapping[Path, str]:
        """Weights, shared memory and the cache."""
        return {("weights",): self.weights, ("sharedMemory",): self.shared_memory, **self.claims}

    @property
    def suffix(self) -> str:
        """The completion test's Job."""
        return "-test"

    @property
    def secret_names(self) -> tuple[str, ...]:
        """The hub's token."""
        return (self.token,) if self.token else ()

    def utilization(self, gpu_memory_mib: int | None) -> float | None:
        """Return `--gpu-memory-utilization`: the pod's share, less the memory that the flag does not count.

        A share of the whole GPU's memory, 0 to 1, rounded down to 1/100. None where it can't be known.
        """
        share = self.gpu.share_of(gpu_memory_mib)
        if share is None:
            return None
        overhead = OVERHEAD_SHARE * share if gpu_memory_mib is None else OVERHEAD_MIB / gpu_memory_mib
        return max(0.0, math.floor((share - overhead) * 100) / 100)

    def memory_for_model_mib(self, gpu_memory_mib: int | None) -> int | None:
        """MiB of each GPU for weights and cache together; None where it can't be known."""
        utilization = self.utilization(gpu_memory_mib)
        if utilization is None or gpu_memory_mib is None:
            return None
        return int(utilization * gpu_memory_mib)

    def weights_mib(self) -> int:
        """MiB of weights on each of its GPUs, rounded up."""
        return math.ceil(mebibytes(self.weights) / (self.gpu.count or 1))


class App(_Pod):
    """An app of the team: Deployment, Service port 80, Secret. Without an image: a page that says which GPU it got."""

    kind: Literal["app"] = Field(description="a Deployment of the team's own")
    port: Annotated[Port, RESTARTS] = Field(default=8080, description="port that the container listens on")
    command: Annotated[tuple[Argument, ...], RESTARTS] = Field(
        default=(), max_length=32, description="default: the image's own"
    )
    gpu: GpuShare | None = Field(default=None, description="one of count, fraction and memoryMib; default: no GPU")
    replicas: Annotated[Whole, MORE_PODS] = Field(default=1, ge=1, le=100, description="number of pods")
    secrets: dict[EnvName, SecretSource] = Field(
        default_factory=dict, description="environment variables from secrets: {config: name} or {environment: NAME}"
    )
    expose: AppExpose = Field(default=AppExpose(), description="how it is reached from outside")
    health_path: Annotated[UrlPath, RESTARTS] = Field(
        default="/", description="path that answers 200 when the app is ready"
    )

    @property
    def way_in(self) -> AppExpose:
        """As written."""
        return self.expose

    @property
    def suffix(self) -> str:
        """Its Service on the host."""
        return "-app" if self.expose.given else ""

    @property
    def secret_names(self) -> tuple[str, ...]:
        """Values from the stack's own secrets."""
        return tuple(source.config for source in self.secrets.values() if isinstance(source, FromConfig))

    @property
    def environment_names(self) -> tuple[str, ...]:
        """Values from the environment."""
        return tuple(source.environment for source in self.secrets.values() if isinstance(source, FromEnvironment))


class SlurmWorkload(_Queued):
    """SLURM on Kubernetes, by Slinky: a controller and workers in the team's cluster. Rendered, not run."""

    kind: Literal["slurm"] = Field(description="SLURM whose nodes are pods of the team")
    gpu: GpuShare = Field(description="count: all GPUs of a node, for each worker; a worker sees them all anyway")
    replicas: Annotated[Whole, MORE_PODS] = Field(
        default=1, ge=1, le=100, description="workers, each alone on a node of the team"
    )
    cpu: Annotated[CpuQuantity, RESTARTS] = Field(default="4", description="CPU request of each worker, in cores")
    memory: Annotated[MemoryQuantity, RESTARTS] = Field(
        default="8Gi", description="memory request of each worker, in bytes"
    )
    partition: Annotated[DnsLabel, RESTARTS] = Field(default="gpu", description="name of the one partition")
    storage: MemoryQuantity = Field(
        default="4Gi", description="volume of the controller, with jobs and their history; counts in resources.storage"
    )

    @property
    def beside(self) -> Footprint:
        """Operator, controller and REST API."""
        return slinky.cost(slinky.SLINKY[slinky.DEFAULT_SLINKY], self.replicas)

    @property
    def charts(self) -> tuple[tuple[str, str], ...]:
        """The operator's, and the cluster's."""
        return tuple((chart, slinky.DEFAULT_SLINKY) for chart in (slinky.OPERATOR_CHART, slinky.CLUSTER_CHART))

    @property
    def claims(self) -> Mapping[Path, str]:
        """The controller's volume."""
        return {("storage",): self.storage}


AnyWorkload: TypeAlias = Inference | App | SlurmWorkload
Workload: TypeAlias = Annotated[AnyWorkload, Field(discriminator="kind")]
"""A workload is one model here, and one file and one entry in `components/workloads`."""
