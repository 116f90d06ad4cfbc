"""microk8s: one machine, from its snap. Pure: no Pulumi import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

from pydantic import Field

from settings.hosts.install import OTHER_KUBERNETES, SCRIPTS, Install, Site, flag
from settings.infrastructure import GpuStack, Owner
from settings.on_change import in_place
from settings.problems import Problem, shown
from settings.texts import DnsLabel, Text, UserName
from settings.types import Flag

CHANNEL: Final = "1.34/stable"
"""To raise it: change it here, run it, write it into docs/runs.md. Not run with a GPU yet (docs/hosts.md)."""
GPU_ADDONS: Final = ("nvidia", "gpu")
"""Two names of one addon of microk8s."""

Channel = Annotated[
    str,
    Text(
        rule="a channel of the snap",
        pattern=r"[0-9]+\.[0-9]+(?:-strict)?/(?:stable|candidate|beta|edge)",
        longest=50,
        example="'1.34/stable'",
        stand_in="0.{}/stable",
    ),
]


class Microk8s(Install):
    """microk8s from its snap."""

    usual_place: ClassVar[str] = "/var/snap/microk8s/current/credentials/client.config"
    kubeconfig_command: ClassVar[str] = "microk8s config"
    context: ClassVar[str] = "microk8s"

    channel: Annotated[Channel, OTHER_KUBERNETES] = Field(default=CHANNEL, description="snap channel")
    addons: Annotated[
        tuple[DnsLabel, ...], in_place("more are enabled; one that is left out stays enabled", source=SCRIPTS)
    ] = Field(
        default=("dns", "helm3", "hostpath-storage"), max_length=32, description="addons that are enabled, in order"
    )
    user: Annotated[UserName | None, in_place("joins the group microk8s", source=SCRIPTS)] = Field(
        default=None, description="user who joins the group microk8s; default: nobody"
    )
    nvidia_addon: Flag = Field(
        default=False, description="the addon nvidia (x86_64) brings the GPU Operator; then gpu.owner: cluster"
    )

    def variables(self, site: Site) -> dict[str, str]:
        """Variables for the scripts."""
        operator = site.gpu.stack is GpuStack.GPU_OPERATOR and site.gpu.owner is Owner.OURS
        return {
            "MICROK8S_CHANNEL": self.channel,
            "MICROK8S_ADDONS": " ".join(self.addons),
            "MICROK8S_USER": self.user or "",
            "MICROK8S_ADDRESS": site.far_address or "",
            "MICROK8S_GPUS": str(site.gpus()),
            "MICROK8S_NVIDIA_ADDON": flag(self.nvidia_addon),
            "MICROK8S_OPERATOR": flag(operator),
            "MICROK8S_ADOPT": flag(self.adopt),
        }

    def problems(self, site: Site) -> Iterator[Problem]:
        """The GPU Operator comes from one side, and by its own key."""
        if self.nvidia_addon and site.gpu.owner is Owner.OURS:
            yield Problem(
                path=("host", "microk8s", "nvidiaAddon"),
                rule="brings the GPU Operator itself: two owners of one device plugin are a race",
                got="gpu.owner: ours",
                fix="write gpu.owner: cluster, or nvidiaAddon: false",
            )
        for index, addon in enumerate(self.addons):
            if addon in GPU_ADDONS:
                yield Problem(
                    path=("host", "microk8s", "addons", index),
                    rule="is the GPU Operator, which has a key of its own",
                    got=shown(addon),
                    fix="write nvidiaAddon: true, and remove it here",
                )
