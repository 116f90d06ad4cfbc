"""What `host.kind`, `host.microk8s` and `host.k3s` install. To raise one: change it here, run it, write it into
docs/runs.md. None of the three has been run for real with a GPU (docs/hosts.md says what was)."""

from __future__ import annotations

from typing import Final

KIND_NODE_IMAGE: Final = "docker.io/kindest/node:v1.34.0"
MICROK8S_CHANNEL: Final = "1.34/stable"
K3S_VERSION: Final = "v1.34.4+k3s1"

METRICS_SERVER: Final = "3.13.0"
"""Chart version. kind's kubelets have certificates that nobody signed, so it gets --kubelet-insecure-tls."""
METRICS_SERVER_REPO: Final = "https://kubernetes-sigs.github.io/metrics-server"

MIN_MEMORY_GIB: Final = 8
MIN_DISK_GIB: Final = 50
"""What a GPU host needs at least (source: the microk8s lesson's prerequisites)."""
