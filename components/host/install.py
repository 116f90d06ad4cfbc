"""A host cluster that this program makes: kind, microk8s or k3s, on this machine or over ssh.

Owns: the command that makes it, the command that removes it, and the kubeconfig, which is a secret from the start.
Leaves to others: the steps (`scripts/`, two of each provider's name), and what a provider is (`settings/hosts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi

import kube
from components.base import Component
from components.command import Script, joined, read, run
from settings.connection import Connection
from settings.models import Platform

SCRIPTS: Final = Path(__file__).parent / "scripts"


@dataclass(frozen=True, kw_only=True)
class InstalledHostArgs:
    """`ports`: NodePorts that must be reached from outside. `key`: private key for ssh, a secret."""

    platform: Platform
    ports: tuple[int, ...]
    key: pulumi.Output[str] | None


class InstalledHost(Component):
    """A cluster made on one host. `kubeconfig` has one context, with the address that tenants use."""

    kubeconfig: pulumi.Output[str]
    context: str

    def __init__(self, name: str, args: InstalledHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        platform = args.platform
        provider, install, site = platform.host.provider, platform.host.install, platform.site(args.ports)
        assert install is not None
        connection = platform.host.connection or Connection()
        ssh_host = connection.ssh.host if connection.ssh else None
        super().__init__(name, {"provider": provider.value, "name": platform.host.name, "ssh": ssh_host}, opts)
        self.context = install.context.format(name=site.name)
        made = run(f"{name}-cluster", script(platform, args.ports), connection, args.key, self.child())
        printed = read(
            f"{name}-kubeconfig",
            install.kubeconfig_command.format(name=site.name),
            connection,
            args.key,
            self.child(depends_on=[made]),
        )
        self.kubeconfig = pulumi.Output.secret(
            printed.apply(
                lambda text: kube.at_address(
                    kube.one_context(text, self.context, "the new cluster")[0], site.far_address
                )
            )
        )
        self.register_outputs({"context": self.context})


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
            **install.variables(platform.site(ports)),
        },
    )
