"""A host cluster that this program makes: kind, microk8s or k3s, on this machine or over ssh.

Owns: the command that makes it, the command that removes it, and the kubeconfig, which is a secret from the start.
Leaves to others: the steps (`scripts/`), what the stack file may say (`settings/hosts.py`).

A provider is one entry in `WAYS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi

import kube
from components.base import Component
from components.command import Script, joined, read, run
from settings.connection import Connection
from settings.hosts import Install, K3s, Kind, Microk8s
from settings.models import From, GpuStack, HostProvider, Owner, Platform

SCRIPTS: Final = Path(__file__).parent / "scripts"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How one provider makes a cluster. `kubeconfig`: the command that prints it. `context`: its context's name
    there.
    """

    variables: Callable[[Platform, tuple[int, ...]], Mapping[str, str]]
    kubeconfig: Callable[[Platform], str]
    context: Callable[[Platform], str]


@dataclass(frozen=True, kw_only=True)
class InstalledHostArgs:
    """`ports`: NodePorts that must be reached from outside. `key`: private key for ssh, a secret."""

    platform: Platform
    ports: tuple[int, ...]
    key: pulumi.Output[str] | None


class InstalledHost(Component):
    """A cluster made on one host. `kubeconfig` has one context, with the address that tenants use."""

    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: InstalledHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        platform = args.platform
        provider, way = platform.host.provider, WAYS[platform.host.provider]
        connection = platform.host.connection or Connection()
        ssh_host = connection.ssh.host if connection.ssh else None
        super().__init__(name, {"provider": provider.value, "name": platform.host.name, "ssh": ssh_host}, opts)
        made = run(f"{name}-cluster", script(platform, args.ports), connection, args.key, self.child())
        printed = read(
            f"{name}-kubeconfig", way.kubeconfig(platform), connection, args.key, self.child(depends_on=[made])
        )
        context, address = way.context(platform), _address(platform)
        self.kubeconfig = pulumi.Output.secret(
            printed.apply(lambda text: kube.at_address(kube.one_context(text, context, "the new cluster")[0], address))
        )
        self.register_outputs({"context": context})


def script(platform: Platform, ports: tuple[int, ...]) -> Script:
    """The two texts of the platform's provider, and their variables."""
    provider, install = platform.host.provider.value, platform.host.install
    assert install is not None
    return Script(
        install=joined(SCRIPTS / f"{provider}-install.sh"),
        remove=joined(SCRIPTS / f"{provider}-remove.sh"),
        variables={
            "PART": provider,
            "MIN_MEMORY_GIB": str(install.min_memory_gib),
            "MIN_DISK_GIB": str(install.min_disk_gib),
            **WAYS[platform.host.provider].variables(platform, ports),
        },
    )


def _address(platform: Platform) -> str | None:
    """The address to write into the kubeconfig; None where the distribution's own address works."""
    connection = platform.host.connection
    return platform.host.address if connection is not None and connection.ssh is not None else None


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _of(platform: Platform, kind: type[Install]) -> Install:
    install = platform.host.install
    assert isinstance(install, kind)
    return install


def gpus_of_host(platform: Platform) -> int:
    """The number of GPUs that the stack file says of the machine. kind's workers share the machine, so with `all` its
    GPUs count once. 0 where nobody can count them yet, because the GPU Operator brings the driver later.
    """
    if platform.gpu.stack is GpuStack.FAKE or platform.gpu.operator.driver is From.OPERATOR:
        return 0
    kind, pools = platform.host.kind, platform.pools.values()
    if kind is not None and kind.gpus == "all":
        return max(pool.gpus_per_node for pool in pools)
    return sum(pool.size * pool.gpus_per_node for pool in pools)


def _kind(platform: Platform, ports: tuple[int, ...]) -> dict[str, str]:
    kind = _of(platform, Kind)
    assert isinstance(kind, Kind)
    return {
        "KIND_NAME": platform.host.name,
        "KIND_IMAGE": kind.image,
        "KIND_WORKERS": str(kind.workers),
        "KIND_GPUS": str(gpus_of_host(platform)),
        "KIND_GPU_NODES": kind.gpus,
        "KIND_CHANGE_DOCKER": _flag(kind.change_docker),
        "KIND_TOOLKIT": kind.toolkit,
        "KIND_PORTS": " ".join(str(port) for port in ports),
        "KIND_ADDRESS": _address(platform) or "",
        "KIND_IMAGES": " ".join(kind.images),
        "KIND_ADOPT": _flag(kind.adopt),
    }


def _microk8s(platform: Platform, _: tuple[int, ...]) -> dict[str, str]:
    microk8s = _of(platform, Microk8s)
    assert isinstance(microk8s, Microk8s)
    operator = platform.gpu.stack is GpuStack.GPU_OPERATOR and platform.gpu.owner is Owner.OURS
    return {
        "MICROK8S_CHANNEL": microk8s.channel,
        "MICROK8S_ADDONS": " ".join(microk8s.addons),
        "MICROK8S_USER": microk8s.user or "",
        "MICROK8S_ADDRESS": _address(platform) or "",
        "MICROK8S_GPUS": str(gpus_of_host(platform)),
        "MICROK8S_NVIDIA_ADDON": _flag(microk8s.nvidia_addon),
        "MICROK8S_OPERATOR": _flag(operator),
        "MICROK8S_ADOPT": _flag(microk8s.adopt),
    }


def _k3s(platform: Platform, _: tuple[int, ...]) -> dict[str, str]:
    k3s = _of(platform, K3s)
    assert isinstance(k3s, K3s)
    files = k3s.files
    return {
        "K3S_VERSION": k3s.version,
        "K3S_ADDRESS": platform.host.address or "",
        "K3S_GPUS": str(gpus_of_host(platform)),
        "K3S_BINARY": files.binary if files else "",
        "K3S_IMAGES": (files.images or "") if files else "",
        "K3S_SCRIPT": files.script if files else "",
        "K3S_ADOPT": _flag(k3s.adopt),
    }


WAYS: Final[Mapping[HostProvider, Way]] = {
    HostProvider.KIND: Way(
        variables=_kind,
        kubeconfig=lambda platform: f"kind get kubeconfig --name {platform.host.name}",
        context=lambda platform: f"kind-{platform.host.name}",
    ),
    HostProvider.MICROK8S: Way(
        variables=_microk8s, kubeconfig=lambda _: "microk8s config", context=lambda _: "microk8s"
    ),
    HostProvider.K3S: Way(
        variables=_k3s, kubeconfig=lambda _: "cat /etc/rancher/k3s/k3s.yaml", context=lambda _: "default"
    ),
}
