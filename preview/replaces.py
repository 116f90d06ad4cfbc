"""Which changes of a resource the engine makes by a replacement. Pure.

Owns: what the Kubernetes provider never updates in place, and the engine's own reasons. The lab and a rehearsal ask no
provider; with this module they say `replace` where the engine would.
Leaves to others: what a replacement means for a team.

Source: pulumi-kubernetes v4.32.0, provider/pkg/provider/diff.go (forceNew) and helm_release.go; pulumi v3.259.0,
pkg/resource/deploy/step_generator.go (shouldTriggerReplace, applyReplaceOnChanges).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

import tokens
from preview.differences import Path, differences, written

_SELECTOR: Final = ("spec.selector",)
FORCED: Final[Mapping[str, tuple[str, ...]]] = {
    tokens.CONFIG_MAP: ("data", "binaryData"),
    tokens.SECRET: ("type", "data", "stringData"),
    tokens.SERVICE: ("spec.clusterIP",),
    tokens.RESOURCE_QUOTA: ("spec.scopes",),
    tokens.POD: ("spec",),
    tokens.VOLUME_CLAIM: (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
    ),
    tokens.DEPLOYMENT: _SELECTOR,
    tokens.DAEMON_SET: _SELECTOR,
    tokens.STATEFUL_SET: (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    tokens.JOB: ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    tokens.ROLE_BINDING: ("roleRef",),
    tokens.CLUSTER_ROLE_BINDING: ("roleRef",),
    "kubernetes:storage.k8s.io/v1:StorageClass": ("parameters", "provisioner"),
    tokens.RELEASE: ("name", "namespace"),
}
"""Properties that the provider never updates in place, by type."""
_NAME: Final = ("metadata.name", "metadata.namespace")
"""Properties of every Kubernetes object."""
TRIGGER: Final = "replacementTrigger"
"""The engine's name for a replacement that the program asked for."""


def reasons(
    type_: str,
    old: JsonValue,
    new: JsonValue,
    *,
    on_changes: Sequence[str] = (),
    trigger: tuple[JsonValue, JsonValue] = (None, None),
) -> tuple[str, ...]:
    """Return the reasons why a change of inputs is a replacement; none where it is an update in place.

    `on_changes`: properties of the option `replace_on_changes`. `trigger`: the option `replacement_trigger` before and
    now; null on either side is no trigger.
    """
    before, after = trigger
    if before is not None and after is not None and before != after:
        return (TRIGGER,)
    forced = (*FORCED.get(type_, ()), *(_NAME if type_.startswith(tokens.KUBERNETES) else ()), *on_changes)
    found = [each.path for each in differences(old, new)]
    return tuple(written(path) for path in found if any(_touches(path, name) for name in forced))


def _touches(path: Path, forced: str) -> bool:
    """Whether a difference is at a property, below it, or above it."""
    steps = forced.split(".")
    found = [step for step in path if isinstance(step, str)][: len(steps)]
    return bool(found) and found == steps[: len(found)] and (len(found) == len(steps) or len(path) == len(found))
