"""The parts that workloads are made of, as frozen pydantic models. Pure: no Pulumi import.

Owns: texts, shares of a GPU, volumes, secrets and ways in of a workload, and what a change of them does.
Leaves to others: the kinds (`workloads.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

from pydantic import Discriminator, Field, Tag

from releases.shapes import Footprint
from settings import grammar
from settings.on_change import disruptive, in_place
from settings.texts import DnsLabel, EnvName, StorageClassName, Text
from settings.types import MemoryQuantity, Port, Section, Share, Whole

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

_ITS_PLACE: Final = "is set from gpu, and yours would replace it"
DERIVED_FLAGS: Final = {
    **dict.fromkeys(
        (
            "--gpu-memory-utilization", "--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp",
            "--data-parallel-size", "-dp",
        ),
        _ITS_PLACE,
    ),
    **dict.fromkeys(("--model", "--served-model-name"), "is set from model, and the test uses that name"),
    "--port": "is the Service's and the probes'",
    "--api-key": "would be readable on a command line, and the test has no key",
}  # fmt: skip
"""Arguments of vLLM that follow from the stack file, each with why `args` may not have it. vLLM takes the last one."""

OUR_VARIABLES: Final = ("PORT", "HOME", "APP_NAME", "APP_TEAM", "APP_NODE", "APP_SECRETS")
"""What every app has in its environment (`components/workloads/app_spec.py`)."""

_TEMPLATE: Final = "K8S: concepts/workloads/controllers/deployment (another pod template is a rollout)"
SMOKE_TEST: Final = Footprint(cpu_millicores=50, memory_mib=64, pods=1)
"""What the completion test asks for."""

RESTARTS: Final = disruptive("its pods are made anew: it does not answer until they are ready", source=_TEMPLATE)
MORE_PODS: Final = disruptive("more or fewer pods", source=_TEMPLATE)
OTHER_ADDRESS: Final = disruptive("it is reached at another address")

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

    count: Annotated[Whole | None, RESTARTS] = Field(
        default=None, ge=1, le=64, description="whole GPUs (replicas on a pool with sharing)"
    )
    fraction: Annotated[Share | None, RESTARTS] = Field(
        default=None, ge=0.001, le=0.999, description="share of one GPU, 0.001 to 0.999; needs gpuSharing"
    )
    memory_mib: Annotated[Whole | None, RESTARTS] = Field(
        default=None, ge=1, description="memory of one GPU in MiB; needs gpuSharing"
    )

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

    claim: Annotated[DnsLabel, RESTARTS] = Field(description="PersistentVolumeClaim in the namespace workloads")


_TESTED: Final = in_place("its completion test runs again")


class Test(Section):
    """A real completion after each deploy. `/health` stays 200 when the GPU is gone, so text is what counts."""

    prompt: Annotated[Line, _TESTED] = Field(default="San Francisco is a", description="what is completed")
    max_tokens: Annotated[Whole, _TESTED] = Field(
        default=7, ge=1, le=256, description="length of the answer, in tokens"
    )
    contains: Annotated[Line | None, _TESTED] = Field(
        default=None, description="text that the answer must have in it; default: any text"
    )


class FromConfig(Section):
    """A value from the stack's own secret."""

    config: Annotated[DnsLabel, RESTARTS] = Field(
        description=f"name of the secret `{SECRET_KEY_PREFIX}<name>` of the stack"
    )


class FromEnvironment(Section):
    """A value from the environment of `pulumi up`; kept as a secret from there on."""

    environment: Annotated[EnvName, RESTARTS] = Field(description="name of the environment variable")


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

    host: Annotated[FullHostName, OTHER_ADDRESS] = Field(description="DNS name, like demo.example.com")
    class_name: Annotated[DnsLabel | None, OTHER_ADDRESS] = Field(
        default=None, description="IngressClass; default: the cluster's default"
    )
    controller_namespace: Annotated[DnsLabel, OTHER_ADDRESS] = Field(
        description="namespace of the ingress controller's pods; they alone are let in"
    )


class AppExpose(Section):
    """How an app is reached from outside. At most one; neither: only inside the team's cluster."""

    node_port: Annotated[Port | None, OTHER_ADDRESS] = Field(
        default=None, description="port of every node, 30000 to 32767"
    )
    ingress: Ingress | None = Field(default=None, description="by name, through the host's ingress controller")

    @property
    def given(self) -> bool:
        """Whether there is a way in at all."""
        return self.node_port is not None or self.ingress is not None
