"""The host cluster as a frozen pydantic model, and the table of its providers. Pure: no Pulumi import.

Owns: the shape and the defaults of `host`, and which providers there are.
Leaves to others: what is of one provider alone (a module each), what they need beside them (`rules/installs.py`), the
commands (`components/host`).

A provider that the program makes has its word in `HostProvider`, its model in `INSTALLS` and its field in `Host`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from settings.connection import Connection
from settings.hosts.install import Install, Site
from settings.hosts.k3s import K3s
from settings.hosts.kind import Kind
from settings.hosts.microk8s import Microk8s
from settings.infrastructure import Headroom, SharedScheduler
from settings.on_change import disruptive
from settings.texts import ContextName, DnsLabel, HostAddress, KubeconfigPath, StorageClassName
from settings.types import Section

INSTALLS: Final[Mapping[str, type[Install]]] = {"kind": Kind, "microk8s": Microk8s, "k3s": K3s}
"""Providers whose cluster this program can make. Each is a key below `host`, and goes with the provider of its name."""


class HostProvider(StrEnum):
    """Where the host cluster comes from. `lab` is a simulation and never a real cluster."""

    EXISTING = "existing"
    KIND = "kind"
    MICROK8S = "microk8s"
    K3S = "k3s"
    LAB = "lab"


class Host(Section):
    """The host cluster."""

    provider: HostProvider = Field(description="where the host cluster comes from; lab is a simulation")
    context: ContextName | None = Field(
        default=None, description="kubeconfig context; default: the file's current context"
    )
    kubeconfig: KubeconfigPath | None = Field(
        default=None, description="path; default: $KUBECONFIG, then ~/.kube/config"
    )
    name: DnsLabel = Field(default="gpu-tenancy", description="name of the kind cluster that `kind` makes")
    address: Annotated[
        HostAddress | None,
        disruptive(
            "every API server restarts with another certificate, and kubeconfigs with the old address stop working",
            topic="address",
            source="VC@v0.36.1:chart/templates/statefulset.yaml (the pod's annotation has the hash of all values)",
        ),
    ] = Field(default=None, description="host name or IP where tenants reach NodePorts; goes into the API certificates")
    headroom: Headroom = Field(default=Headroom(), description="what stays free on every node for the host's own pods")
    storage_class: StorageClassName | None = Field(
        default=None, description="StorageClass of the virtual clusters' data; default: the cluster's default class"
    )
    scheduler: SharedScheduler | None = Field(
        default=None, description="the KAI that teams with mode host share; only needed with such teams"
    )
    kind: Kind | None = Field(default=None, description="make a kind cluster of this name; default: it exists already")
    microk8s: Microk8s | None = Field(
        default=None, alias="microk8s", description="install microk8s; default: it exists already"
    )
    k3s: K3s | None = Field(default=None, alias="k3s", description="install k3s; default: it exists already")
    connection: Connection | None = Field(
        default=None, description="where the cluster is made; default: the machine that `pulumi up` runs on"
    )

    @property
    def install(self) -> Install | None:
        """How the program makes the cluster; None where the cluster exists already."""
        ways: Iterator[Install | None] = (getattr(self, way) for way in INSTALLS)
        return next((way for way in ways if way is not None), None)

    @property
    def reachable_at(self) -> str | None:
        """Where tenants reach NodePorts. The lab's API servers listen on this machine alone."""
        return self.address or ("127.0.0.1" if self.provider is HostProvider.LAB else None)
