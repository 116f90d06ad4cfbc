"""Platforms and clusters that differ, and the rows that preflight has for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from cli.preflight import ClusterFacts, compare
from settings.load import parse_platform
from settings.models import Platform

TODAY: Final = date(2026, 11, 22)
BY_CLUSTER: Final = {"owner": "cluster", "runtimeClass": {"owner": "cluster"}}
THEIRS: Final = {"stack": "gpuOperator", **BY_CLUSTER}
ENFORCED: Final = {"mode": "virtual", "version": "v0.18.6", "gpuSharing": {"enforce": "memory"}}
HOST_KAI: Final = {"provider": "existing", "address": "10.0.0.5", "scheduler": {"version": "v0.9.3"}}
Cases = Mapping[str, tuple[Platform, ClusterFacts]]
"""A stack file and a cluster, by what is special about them."""


def labelled(**labels: str) -> dict[str, Any]:
    return {"labels": labels}


def changed(
    team: Mapping[str, object] | None = None, pools: Mapping[str, object] | None = None, **sections: object
) -> Platform:
    """The platform of one pool with other keys of the team, further pools, and other sections."""
    tree: dict[str, Any] = {
        "host": {"provider": "existing", "address": "10.0.0.5", "headroom": {"cpu": "4", "memory": "8Gi"}},
        "gpu": {"stack": "devicePlugin"},
        "pools": {"a": {"nodes": ["gpu-0"], "gpusPerNode": 8, "gpuMemoryMib": 81559}, **(pools or {})},
        "teams": {
            "ml": {
                "pool": "a",
                "scheduler": {"mode": "virtual", "version": "v0.16.8"},
                "resources": {"gpus": 1, "cpu": 8, "memory": "64Gi"},
                "queues": {"work": {"gpu": 1}},
                **(team or {}),
            }
        },
        **sections,
    }
    return parse_platform(tree, "here", today=TODAY)


def without(**pool: Any) -> Platform:
    """The pool `a` with other keys; None removes one."""
    whole = {"nodes": ["gpu-0"], "gpusPerNode": 8, **pool}
    none = {"resources": {"gpus": 0}, "queues": {"work": {"gpu": 0}}} if not whole["gpusPerNode"] else None
    return changed(none, {"a": {key: value for key, value in whole.items() if value is not None}})


def as_recorded(cases: Cases, file: Path) -> None:
    """Hold the rows of all cases against a file, which RECORD=1 in the environment writes anew. Of all but the first
    case only what differs from it stands there."""
    lines: list[str] = []
    usual: list[str] = []
    for name, (what, where) in cases.items():
        found = compare(what, where, ports={"ml": 30443}, today=TODAY)
        rows = [f"  {each.level} {each.id}, {each.subject}: {each.message} [{each.fix}]" for each in found]
        lines += [name, *(row for row in rows if row not in usual)]
        gone = [row.partition(":")[0].strip() for row in usual if row not in rows]
        lines += [f"  without {', '.join(gone)}"] if gone else []
        usual = usual or rows
    text = "\n".join(lines) + "\n"
    if "RECORD" in os.environ:
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
