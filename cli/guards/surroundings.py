"""Variables of the caller's environment that change what the Kubernetes provider does with every object, or what kind
does.

Owns: which they are, refusing them, and leaving them out of the engine's environment. The program's own providers say
nothing of these settings, so the environment would decide. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from cli.guards.refusal import Refusal
from settings.hosts import Host

TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
"""What the SDK takes for true (pulumi_kubernetes v4.32.0: _utilities.py, get_env_bool); the provider takes `true`."""


KIND_ENGINE: Final = "KIND_EXPERIMENTAL_PROVIDER"
"""The scripts of a host drop it, and the command that prints the kubeconfig would keep it (kind v0.30.0:
pkg/internal/runtime/runtime.go)."""


class _Steers(NamedTuple):
    """The value that changes nothing, and what another one does."""

    harmless: str
    does: str

    def changes(self, value: str) -> bool:
        """Whether a value that is set changes something. A switch that is not true is off: `0`, or nothing. A word that
        is empty is the default.
        """
        if self.harmless in ("true", "false"):
            return (value in TRUE) != (self.harmless == "true")
        return value not in ("", self.harmless)


STEERS: Final[Mapping[str, _Steers]] = {
    "PULUMI_K8S_DELETE_UNREACHABLE": _Steers("false", "forgets the objects of a cluster that does not answer"),
    "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE": _Steers("false", "ignores changes on a cluster that does not answer"),
    "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY": _Steers("true", "removes what others wrote on nodes"),
    "PULUMI_K8S_ENABLE_PATCH_FORCE": _Steers("false", "overwrites what others wrote on nodes"),
    "PULUMI_K8S_UPSERT_EXISTING_OBJECTS": _Steers("false", "takes over objects that are there, and may delete them"),
    "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE": _Steers("false", "changes what a preview calls a replacement"),
    "PULUMI_K8S_ENABLE_SECRET_MUTABLE": _Steers("false", "changes what a preview calls a replacement"),
    KIND_ENGINE: _Steers("docker", "makes kind look for the cluster's kubeconfig elsewhere than in Docker"),
    "PULUMI_K8S_HELM_DRIVER": _Steers("secret", "looks for Helm's releases in another place, and finds none"),
}
"""Read where a provider's inputs say nothing (pulumi-kubernetes v4.32.0: provider/pkg/provider/provider.go, Configure;
its Python SDK writes some of them into the state)."""


OPTIONS: Final = "PULUMI_OPTION_"
"""How variables begin that the engine takes for options of its commands (pulumi v3.259.0: pkg/cmd/pulumi/pulumi.go):
another target, secrets shown. The commands give the options that they mean, and read the answers by them."""


def makes_kind_here(host: Host) -> bool:
    """Whether the program makes a kind cluster on this machine, where kind gets this environment."""
    return host.kind is not None and (host.connection is None or host.connection.ssh is None)


def steered(environment: Mapping[str, str], *, kind: bool) -> list[Refusal]:
    """Refuse each variable that steers the provider. `kind`: whether the program makes a kind cluster here."""
    return [
        Refusal(
            cause=f"{variable} in the environment {steers.does}",
            fix=f"`unset {variable}`, or set it to {steers.harmless}",
        )
        for variable, steers in STEERS.items()
        if steers.changes(environment.get(variable, steers.harmless)) and (kind or variable != KIND_ENGINE)
    ]


def unsteered(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without them, and without options of the engine's."""
    return {name: value for name, value in environment.items() if name not in STEERS and not name.startswith(OPTIONS)}
