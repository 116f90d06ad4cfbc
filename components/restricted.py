"""Security contexts that the Pod Security level `restricted` allows. With them a pod fits every level of isolation."""

from __future__ import annotations

from typing import Final

from names import JSON

USER: Final = 65532
"""Any user but root: CUDA needs no rights."""


def pod_security(**more: JSON) -> dict[str, JSON]:
    """Return a pod's security context, with `more` fields."""
    profile: JSON = {"type": "RuntimeDefault"}
    return {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "seccompProfile": profile, **more}


def container_security() -> dict[str, JSON]:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
