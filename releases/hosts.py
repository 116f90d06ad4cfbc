"""What a host that this program makes needs, and metrics-server, which kind's does not bring. What each provider
installs stands at the provider (`settings/hosts`)."""

from __future__ import annotations

from typing import Final

METRICS_SERVER: Final = "3.13.0"
"""Chart version. kind's kubelets have certificates that nobody signed, so it gets --kubelet-insecure-tls."""
METRICS_SERVER_REPO: Final = "https://kubernetes-sigs.github.io/metrics-server"

MIN_MEMORY_GIB: Final = 8
MIN_DISK_GIB: Final = 50
"""What a GPU host needs at least (source: the microk8s lesson's prerequisites)."""
