"""The lab's platform with changes, and how to read what the program registered."""

from __future__ import annotations

from typing import Any

from tests.conftest import platform_of
from tests.recording import SECRET_MARK, Registered

TEAM = "gpu-tenancy:index:Team"
RELEASE = "kubernetes:helm.sh/v3:Release"
SECRET = "kubernetes:core/v1:Secret"
PROVIDER = "pulumi:providers:kubernetes"
QUEUE = "kubernetes:scheduling.run.ai/v2:Queue"
QUOTA = "kubernetes:core/v1:ResourceQuota"
NAMESPACE = "kubernetes:core/v1:Namespace"
JOB = "kubernetes:batch/v1:Job"
CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
PATCH = "kubernetes:core/v1:NodePatch"
RUNTIME_CLASS = "kubernetes:node.k8s.io/v1:RuntimeClass"
SERVICE = "kubernetes:core/v1:Service"
PRIORITY = "kubernetes:scheduling.k8s.io/v1:PriorityClass"


def alone(stack: str, *teams: str, checked: bool = False) -> dict[str, Any]:
    """A stack that comes with the program, with these teams and their pools alone; `checked`: with its checks, which
    are a third of what is registered."""
    data = platform_of(stack)
    data["teams"] = {team: data["teams"][team] for team in teams}
    if not checked:
        data["check"] = {**data.get("check", {}), "host": False}
        for team in data["teams"].values():
            team["check"] = {"enabled": False}
    data["pools"] = {team["pool"]: data["pools"][team["pool"]] for team in data["teams"].values()}
    return data


def lab(of: str = "", *, checked: bool = False, **changes: Any) -> dict[str, Any]:
    """The lab's platform with teams (or other sections) changed. `of`: with these teams (a word each) and their pools
    alone; one is recorded in a fifth of the time. `checked`: with their checks."""
    data = alone("lab", *of.split(), checked=checked) if of else platform_of("lab")
    for path, value in changes.items():
        holder = data
        *steps, last = path.split("__")
        for step in steps:
            holder = holder[step]
        holder[last] = value
    return data


def names_of(found: list[Registered]) -> set[str]:
    return {str(resource.metadata.get("name")) for resource in found}


def depends_on(resource: Registered, other: str) -> bool:
    return any(urn.endswith(f"::{other}") for urn in resource.dependencies)


def unwrap(value: Any) -> Any:
    """The plaintext of a secret input; fails where it is none."""
    assert isinstance(value, dict), "this must be a secret"
    assert SECRET_MARK in value, "this must be a secret"
    return value["value"]
