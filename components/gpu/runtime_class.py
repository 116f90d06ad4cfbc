"""The RuntimeClass that GPU pods run with.

Owns: the object, where the stack file says that it is ours.
Leaves to others: the container runtime's handler on the nodes.
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

import names
from settings.models import RuntimeClass


def runtime_class(settings: RuntimeClass, provider: k8s.Provider, parent: pulumi.Resource) -> k8s.node.v1.RuntimeClass:
    """Declare the RuntimeClass; only for `owner: ours`, since a create of one that exists fails the update."""
    return k8s.node.v1.RuntimeClass(
        f"runtime-class-{settings.name}",
        metadata={"name": settings.name, "labels": names.labels()},
        handler=settings.handler,
        opts=pulumi.ResourceOptions(
            parent=parent,
            provider=provider,
            # Kubernetes never lets it change, and the new object has the old one's name
            replace_on_changes=["handler"],
            delete_before_replace=True,
        ),
    )
