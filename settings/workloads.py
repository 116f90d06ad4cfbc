"""A team's workloads in a stack file, as frozen pydantic models. Pure: no Pulumi import.

Owns: the shape, the units and the defaults of `teams.<team>.workloads`.
Leaves to others: whether they fit the team (`workload_rules.py`), the objects (`components/workloads`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from capacity import mebibytes
from settings import grammar
from settings.texts import DnsLabel, EnvName, ImageReference, StorageClassName, Text
from settings.types import CpuQuantity, MemoryQuantity, Port, Section, Share, Whole

SECRET_KEY_PREFIX: Final = "gpu-tenancy:secret-"
"""A workload's secret is the stack's config value of this name, set by `pulumi config set --secret`."""

OVERHEAD_MIB: Final = 700
"""GPU memory of a CUDA context and its libraries' handles, which `--gpu-memory-utilization` does not count.
A torch process held 480 to 560 MiB before its first tensor on H100 and H200; 700 leaves a quarter for more kernels."""

OVERHEAD_SHARE: Final = 0.05
"""The same where the pool has no `gpuMemoryMib`: 5 % of a GPU with 16 GiB is 819 MiB."""

CACHE_SHARE: Final = 0.1
"""The part of the server's memory that must be left beside the weights, for the key-value cache and activations.
With less, vLLM ends with "No available memory for the cache blocks"."""


_ITS_PLACE: Final = "follows from gpu, and would count in its place"
DERIVED_FLAGS: Final = {
    **dict.fromkeys(
        (
            "--gpu-memory-utilization", "--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp",
            "--data-parallel-size", "-dp",
        ),
        _ITS_PLACE,
    ),
    **dict.fromkeys(("--model", "--served-model-name"), "follows from model, and the test asks for that"),
    "--port": "is the Service's and the probes'",
    "--api-key": "would stand in clear on a command line, and the test has none",
}  # fmt: skip
"""Arguments of vLLM that follow from the stack file, each with the reason why `args` may not have it. vLLM takes the
last one.
"""

OUR_VARIABLES: Final = ("PORT", "HOME", "APP_NAME", "APP_TEAM", "APP_NODE", "APP_SECRETS")
"""What every app has in its environment (`components/workloads/app_spec.py`)."""


Line = Annotated[
    str,
    Text(
        rule="text on one line, at most 500 characters", pattern=grammar.PLAIN, longest=500, example="'San Francisco'"
    ),
]

Argument = Annotated[
    str,
    Text(
        rule="text without control, invisible or direction-changing characters, at most 4000",
        pattern=grammar.LINES,
        longest=4000,
        example="'--max-model-len=2048'",
    ),
]
"""One word of a command line. It may have several lines: `sh -c` takes a script."""

_MODEL_PART: Final = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._][-A-Za-z0-9._]*"

ModelName = Annotated[
    str,
    Text(
        rule="a model's name at the hub or a directory (letters, digits and -._/, no part empty, . or ..)",
        pattern=rf"{_MODEL_PART}(?:/{_MODEL_PART})*",
        longest=200,
        example="'Qwen/Qwen3-0.6B'",
    ),
]

FullHostName = Annotated[
    str,
    Text(
        rule="a DNS name of two parts and more, in lower case, and no address",
        pattern=grammar.FULL_HOST_NAME,
        longest=253,
        example="'demo.example.com'",
        stand_in="stand-in-{}.example",
    ),
]

UrlPath = Annotated[
    str,
    Text(
        rule="a path of a URL",
        pattern=r"/[!-~]*",
        longest=200,
        example="'/healthz'",
        stand_in="/stand-in-{}",
    ),
]


class GpuShare(Section):
    """What one pod asks for: whole GPUs, a fraction of one, or memory of one. Exactly one of the three."""

    count: Whole | None = Field(default=None, ge=1, le=64, description="whole GPUs (replicas on a pool with sharing)")
    fraction: Share | None = Field(
        default=None, ge=0.001, le=0.999, description="share of one GPU, 0.001 to 0.999; needs gpuSharing"
    )
    memory_mib: Whole | None = Field(default=None, ge=1, description="memory of one GPU in MiB; needs gpuSharing")

    def given(self) -> tuple[str, ...]:
        """The keys that are written."""
        said = {"count": self.count, "fraction": self.fraction, "memoryMib": self.memory_mib}
        return tuple(key for key, value in said.items() if value is not None)

    @property
    def parts(self) -> bool:
        """Whether it is a part of one GPU."""
        return self.count is None

    def share_of(self, gpu_memory_mib: int | None) -> float | None:
        """A part's share of one GPU, 0 to 1; None for `memoryMib` where the GPU's memory is not known."""
        if self.fraction is not None:
            return self.fraction
        if self.memory_mib is None:
            return 1.0
        return None if gpu_memory_mib is None else self.memory_mib / gpu_memory_mib


class Cache(Section):
    """A volume for downloads: made once, kept over restarts."""

    size: MemoryQuantity = Field(description="size of the volume in bytes (20Gi); counts in resources.storage")
    storage_class: StorageClassName | None = Field(
        default=None, description="StorageClass; default: the cluster's default"
    )


class ModelVolume(Section):
    """A local model directory: a claim that the team has already, mounted read-only at /models."""

    claim: DnsLabel = Field(description="PersistentVolumeClaim in the namespace workloads")


class Test(Section):
    """A real completion after each deploy. `/health` stays 200 when the GPU is gone, so text is what counts."""

    prompt: Line = Field(default="San Francisco is a", description="what is completed")
    max_tokens: Whole = Field(default=7, ge=1, le=256, description="length of the answer, in tokens")
    contains: Line | None = Field(default=None, description="text that the answer must have in it; default: any text")


class _Queued(Section):
    """The keys of all workloads."""

    queue: DnsLabel | None = Field(default=None, description="leaf queue of the team; default: the first by name")
    cpu: CpuQuantity = Field(default="1", description="CPU request, in cores")
    memory: MemoryQuantity = Field(default="2Gi", description="memory request, in bytes")
    memory_limit: MemoryQuantity | None = Field(
        default=None, description="memory limit, in bytes; default: the request"
    )

    @property
    def memory_at_most(self) -> str:
        """The memory limit; without one the request."""
        return self.memory_limit or self.memory


class _Pod(_Queued):
    """The keys of workloads with one image."""

    image: ImageReference | None = Field(
        default=None, description="with a tag or digest; default: the pinned one in releases"
    )


class Inference(_Pod):
    """A vLLM server (or another with its command line and API): Deployment, Service port 80, completion test."""

    kind: Literal["inference"] = Field(description="a model server")
    model: ModelName = Field(description="name at the model hub, or a directory below /models of modelVolume")
    weights: MemoryQuantity = Field(
        description="GPU memory of the model's weights, in bytes: parameters x 2 for 16 bit (1.5 billion: 3G)"
    )
    gpu: GpuShare = Field(description="one of count, fraction and memoryMib")
    cpu: CpuQuantity = Field(default="4", description="CPU request, in cores")
    memory: MemoryQuantity = Field(
        default="8Gi", description="memory request, in bytes; the load needs the weights once"
    )
    shared_memory: MemoryQuantity = Field(
        default="1Gi", description="size of /dev/shm, in bytes; counts in the pod's memory"
    )
    start_seconds: Whole = Field(
        default=900,
        ge=30,
        le=7200,
        description="seconds that download, load and warm-up may take before it is restarted",
    )
    command: tuple[Argument, ...] = Field(
        default=("vllm", "serve"), min_length=1, max_length=32, description="what takes the model and vLLM's arguments"
    )
    args: tuple[Argument, ...] = Field(default=(), max_length=32, description="further arguments of the server")
    cache: Cache | None = Field(
        default=None, description="volume for downloaded models; default: none, gone at restart"
    )
    model_volume: ModelVolume | None = Field(default=None, description="local model directory instead of a download")
    token: DnsLabel | None = Field(
        default=None, description=f"the hub's token: name of the secret `{SECRET_KEY_PREFIX}<name>` of the stack"
    )
    test: Test = Field(default=Test(), description="what is asked after each deploy")

    @property
    def replicas(self) -> int:
        """A server with a GPU of its own is one pod."""
        return 1

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


class FromConfig(Section):
    """A value from the stack's own secret."""

    config: DnsLabel = Field(description=f"name of the secret `{SECRET_KEY_PREFIX}<name>` of the stack")


class FromEnvironment(Section):
    """A value from the environment of `pulumi up`; kept as a secret from there on."""

    environment: EnvName = Field(description="name of the environment variable")


def _where_from(value: object) -> str:
    """Which of the two a mapping means, by the key that it has."""
    if isinstance(value, FromEnvironment) or (isinstance(value, Mapping) and "environment" in value):
        return "environment"
    return "config"


SecretSource: TypeAlias = Annotated[
    Annotated[FromConfig, Tag("config")] | Annotated[FromEnvironment, Tag("environment")], Discriminator(_where_from)
]


class Ingress(Section):
    """A name at the host's ingress controller."""

    host: FullHostName = Field(description="DNS name, like demo.example.com")
    class_name: DnsLabel | None = Field(default=None, description="IngressClass; default: the cluster's default")
    controller_namespace: DnsLabel = Field(
        description="namespace of the ingress controller's pods; they alone are let in"
    )


class AppExpose(Section):
    """How an app is reached from outside. At most one; neither: only inside the team's cluster."""

    node_port: Port | None = Field(default=None, description="port of every node, 30000 to 32767")
    ingress: Ingress | None = Field(default=None, description="by name, through the host's ingress controller")


class App(_Pod):
    """An app of the team: Deployment, Service port 80, Secret. Without an image: a page that says which GPU it got."""

    kind: Literal["app"] = Field(description="a Deployment of the team's own")
    port: Port = Field(default=8080, description="port that the container listens on")
    command: tuple[Argument, ...] = Field(default=(), max_length=32, description="default: the image's own")
    gpu: GpuShare | None = Field(default=None, description="one of count, fraction and memoryMib; default: no GPU")
    replicas: Whole = Field(default=1, ge=1, le=100, description="number of pods")
    secrets: dict[EnvName, SecretSource] = Field(
        default_factory=dict, description="environment variables from secrets: {config: name} or {environment: NAME}"
    )
    expose: AppExpose = Field(default=AppExpose(), description="how it is reached from outside")
    health_path: UrlPath = Field(default="/", description="path that answers 200 when the app is ready")


class SlurmWorkload(_Queued):
    """SLURM on Kubernetes, by Slinky: a controller and workers in the team's cluster. Rendered, not run."""

    kind: Literal["slurm"] = Field(description="SLURM whose nodes are pods of the team")
    gpu: GpuShare = Field(description="count: all GPUs of a node, for each worker; a worker sees them all anyway")
    replicas: Whole = Field(default=1, ge=1, le=100, description="workers, each alone on a node of the team")
    cpu: CpuQuantity = Field(default="4", description="CPU request of each worker, in cores")
    memory: MemoryQuantity = Field(default="8Gi", description="memory request of each worker, in bytes")
    partition: DnsLabel = Field(default="gpu", description="name of the one partition")
    storage: MemoryQuantity = Field(
        default="4Gi", description="volume of the controller, with jobs and their history; counts in resources.storage"
    )


AnyWorkload: TypeAlias = Inference | App | SlurmWorkload
Workload: TypeAlias = Annotated[AnyWorkload, Field(discriminator="kind")]
"""A workload is one model here, and one file in `components/workloads`."""


def secret_names(workload: AnyWorkload) -> tuple[str, ...]:
    """The stack secrets that a workload needs, by the name behind `SECRET_KEY_PREFIX`."""
    if isinstance(workload, Inference):
        return (workload.token,) if workload.token else ()
    if not isinstance(workload, App):
        return ()
    return tuple(source.config for source in workload.secrets.values() if isinstance(source, FromConfig))


def environment_names(workload: AnyWorkload) -> tuple[str, ...]:
    """The environment variables that a workload needs when `up` runs."""
    if not isinstance(workload, App):
        return ()
    return tuple(source.environment for source in workload.secrets.values() if isinstance(source, FromEnvironment))
