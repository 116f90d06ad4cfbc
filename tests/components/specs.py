"""What a component made, as plain data to compare with: whole specs, so that every change of one is seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.recording import SECRET_MARK, Recorder, Registered

OURS = {"app.kubernetes.io/managed-by": "gpu-tenancy"}


@dataclass(frozen=True, kw_only=True)
class Made:
    """One child. `spec` is all that was asked for, less what its type says already; Outputs that are secret are in
    clear. `goes_with`: the resource whose deletion deletes it, too. `provider`: of which cluster."""

    spec: Mapping[str, Any]
    provider: str
    needs: frozenset[str]
    goes_with: str = ""
    protected: bool = False
    retained: bool = False
    replaced_on: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    before_create: tuple[str, ...] = ()
    before_update: tuple[str, ...] = ()
    after_update: tuple[str, ...] = ()


def made(recorder: Recorder, component: str) -> dict[str, Made]:
    """Return the children of a component, by logical name less the component's own."""
    found = {}
    for resource in recorder.resources:
        if not resource.read and last(resource.parent) == component:
            found[resource.name.removeprefix(component).removeprefix("-")] = _made(resource)
    assert found, f"nothing was made by {component}"
    return found


def _made(resource: Registered) -> Made:
    options: Any = resource.options
    spec = {key: plain(value) for key, value in resource.inputs.items() if key not in ("apiVersion", "kind", "compat")}
    return Made(
        spec=spec,
        provider=resource.provider.rpartition("::")[0].rpartition("::")[2],
        needs=frozenset(last(urn) for urn in resource.dependencies),
        goes_with=last(resource.deleted_with),
        protected=options.protect,
        retained=options.retainOnDelete,
        replaced_on=tuple(options.replaceOnChanges),
        ignored=tuple(options.ignoreChanges),
        before_create=tuple(options.hooks.before_create),
        before_update=tuple(options.hooks.before_update),
        after_update=tuple(options.hooks.after_update),
    )


def last(urn: str) -> str:
    """The logical name in a URN."""
    return urn.rpartition("::")[2]


def plain(value: Any) -> Any:
    """Data as the program wrote it: protobuf knows no integers, and the SDK wraps secrets."""
    if isinstance(value, dict):
        if SECRET_MARK in value:
            return plain(value["value"])
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value == int(value):
        return int(value)
    return value


def of_team(team: str) -> dict[str, str]:
    """The labels of an object of a team."""
    return {**OURS, "gpu-tenancy/team": team}


def parsed(text: str) -> Any:
    """A kubeconfig's text as data."""
    return json.loads(text)
