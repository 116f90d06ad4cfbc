"""Where the host's kubeconfig comes from.

Owns: the order (config secret, stack file, $KUBECONFIG, the provider's usual place) and cutting it to one context.
Leaves to others: making a cluster. Pure: no Pulumi import.
"""

from __future__ import annotations

import os
from pathlib import Path

from kube.kubeconfig import KubeconfigError, one_context
from settings.hosts import INSTALLS, Host, HostProvider, Install, Kind


def kubeconfig_of(host: Host, secret: str | None) -> tuple[str, str]:
    """Return the kubeconfig's text, cut to one context, and the context's name.

    The config secret `gpu-tenancy:kubeconfig` goes first: a runner in CI has no file. Raises `KubeconfigError`.
    """
    if secret is not None:
        return one_context(secret, context_of(host), "config gpu-tenancy:kubeconfig")
    if host.provider is HostProvider.LAB:
        # never a file of the user: the lab passes the kubeconfig of its own API server
        message = "a lab (host.provider: lab) has API servers of its own and takes no kubeconfig; `make up STACK=<lab>`"
        raise KubeconfigError(message)
    path = kubeconfig_path(host)
    try:
        text = path.read_text()
    except OSError as error:
        message = (
            f"{path}: the kubeconfig can't be read ({error.strerror}). Set host.kubeconfig in the stack file, "
            "$KUBECONFIG, or `pulumi config set --secret gpu-tenancy:kubeconfig`"
        )
        raise KubeconfigError(message) from error
    return one_context(text, context_of(host), str(path), base=path.parent)


def kubeconfig_path(host: Host) -> Path:
    """The file that is read when there is no config secret. Of several files in $KUBECONFIG, the first."""
    named = host.kubeconfig or os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(named or INSTALLS.get(host.provider, Install).usual_place).expanduser()


def context_of(host: Host) -> str | None:
    """The context to use: the stack file's, or kind's own for its cluster, or the file's current one. A lab has its
    own, whatever the stack file says.
    """
    if host.provider is HostProvider.LAB:
        return None
    if host.context is None and host.provider is HostProvider.KIND:
        return Kind.context.format(name=host.name)
    return host.context
