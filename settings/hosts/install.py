"""What all providers of a host cluster have, and what they need from the rest of a stack file. Pure: no Pulumi import.

A provider is a module of its own beside this one (its model, its scripts' variables, its rules), an entry in
`settings/hosts/__init__.py`, and two scripts in `components/host/scripts`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from pydantic import Field

from releases.hosts import MIN_DISK_GIB, MIN_MEMORY_GIB
from settings.infrastructure import From, Gpu, GpuStack, Pool
from settings.on_change import ASKED_FIRST, in_place, losing
from settings.problems import Problem
from settings.types import Flag, Section, Whole

SCRIPTS: Final = "components/host/scripts"
OTHER_KUBERNETES: Final = losing(
    "newer: the node's API server restarts, and its pods may; older: what is stored may not be readable",
    "anotherCluster",
    source="K8S: releases/version-skew-policy",
)
_ASKED: Final = in_place(ASKED_FIRST, source=SCRIPTS)


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a provider needs from the rest of a stack file. `ports`: NodePorts that people reach from outside."""

    name: str
    address: str | None
    over_ssh: bool
    gpu: Gpu
    pools: Mapping[str, Pool]
    ports: tuple[int, ...] = ()

    @property
    def far_address(self) -> str | None:
        """The address to write into the kubeconfig; None where the distribution's own address works."""
        return self.address if self.over_ssh else None

    def gpus(self, *, shared: bool = False) -> int:
        """The number of the machine's GPUs. `shared`: all nodes see the same GPUs, so these count once. 0 where nobody
        can count them yet, because the GPU Operator brings the driver later.
        """
        if self.gpu.stack is GpuStack.FAKE or self.gpu.operator.driver is From.OPERATOR:
            return 0
        pools = self.pools.values()
        return max(pool.gpus_per_node for pool in pools) if shared else sum(p.size * p.gpus_per_node for p in pools)


class Install(Section):
    """A way to make the host cluster, and what all ways have in common."""

    usual_place: ClassVar[str] = "~/.kube/config"
    """Where an existing cluster of this kind has its kubeconfig."""
    kubeconfig_command: ClassVar[str]
    """Prints the kubeconfig, on the host. `{name}` is `host.name`, here and below."""
    context: ClassVar[str]
    """The context's name in there."""

    adopt: Annotated[Flag, _ASKED] = Field(
        default=False, description="use one that somebody else installed; destroy undoes only our changes"
    )
    min_memory_gib: Annotated[Whole, _ASKED] = Field(
        default=MIN_MEMORY_GIB, ge=1, le=4096, description="refuse a host with less, in GiB"
    )
    min_disk_gib: Annotated[Whole, _ASKED] = Field(
        default=MIN_DISK_GIB, ge=1, le=65536, description="refuse less free below /var, in GiB"
    )

    @abstractmethod
    def variables(self, site: Site) -> Mapping[str, str]:
        """Variables for the provider's scripts, beside those that all get."""

    def problems(self, site: Site) -> Iterator[Problem]:
        """What of the stack file doesn't fit this way. `ports` of the site are not known yet."""
        del site
        return iter(())


def flag(value: bool) -> str:
    """A boolean as the scripts read it."""
    return "true" if value else "false"
