"""The engine makes what is new before it deletes what goes: nothing new has a name that is still taken in the cluster.

Where an edit would do that, the program refuses it in words of its own (a node that moves: preflight; a workload of
another kind: the gate).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import pytest

from tests.conftest import Declare
from tests.recording import Recorder
from tests.settings.build import raw

pytestmark = pytest.mark.slow

Name: TypeAlias = tuple[object, ...]
VIRTUAL = {"mode": "virtual", "version": "v0.16.8"}
APP = {"kind": "app", "cpu": "100m", "memory": "128Mi"}
BEFORE: dict[str, object] = {
    "host.scheduler": {"version": "v0.16.8"},
    "pools.gpu": {"nodes": ["gpu-0"], "gpusPerNode": 4, "gpuMemoryMib": 24576, "podsPerNode": 900},
    "pools.two": {"nodes": ["n1", "n2"], "gpusPerNode": 4, "gpuMemoryMib": 24576, "podsPerNode": 900},
    "teams.ml.scheduler": VIRTUAL,
    "teams.research": {
        "pool": "two",
        "scheduler": {"mode": "host"},
        "resources": {"gpus": 2},
        "queues": {"work": {"gpu": 1}},
    },
    "teams.dev.workloads": {"web": APP},
}
EDITS: Mapping[str, dict[str, object]] = {
    "its own KAI instead of the host's": {"teams.research.scheduler": VIRTUAL},
    "no KAI": {"teams.ml.scheduler": None, "teams.ml.queues": None},
    "another line of KAI": {"teams.ml.scheduler": {"mode": "virtual", "version": "v0.9.3"}},
    "a canary": {"teams.ml.scheduler": {**VIRTUAL, "canary": {"version": "v0.14.7", "gpus": 1}}},
    "the other slot": {"teams.ml.blueGreen": {"serves": "green", "green": {}}},
    "a pause": {"teams.ml.state": "paused"},
    "the GPU Operator": {"gpu": {"stack": "gpuOperator", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}},
    "another RuntimeClass": {"gpu": {"stack": "devicePlugin", "runtimeClass": "other"}},
    "a pool by labels": {"pools.gpu.nodes": None, "pools.gpu.selector": {"a": "b"}, "pools.gpu.nodeCount": 1},
    "a workload's image": {"teams.dev.workloads": {"web": {**APP, "image": "registry.example/web:1.0"}}},
    "a way in": {"teams.dev.workloads": {"web": {**APP, "expose": {"nodePort": 30999}}}},
}


def objects(recorder: Recorder) -> dict[Name, Name]:
    """Each object's name in its cluster, by what the engine calls it."""
    found: dict[Name, Name] = {}
    for one in recorder.resources:
        if not one.read and one.type.startswith("kubernetes:"):
            space, name = (one.metadata.get(key) or one.inputs.get(key) for key in ("namespace", "name"))
            # of the parent its kinds alone are in a URN, and of the provider its name says which cluster
            known = (one.parent.split("::")[-2] if "::" in one.parent else "", one.type, one.name)
            found[known] = (one.provider.split("::")[-2], one.type, space, name)
    return found


@pytest.mark.parametrize("edit", EDITS)
def test_what_is_new_has_no_name_of_what_goes(declare: Declare, edit: str) -> None:
    platforms: list[dict[str, Any]] = [raw(BEFORE), raw({**BEFORE, **EDITS[edit]})]
    before, after = (objects(declare(platform)) for platform in platforms)
    assert before != after
    for old, new in ((before, after), (after, before)):
        goes = {name for known, name in old.items() if known not in new}
        assert [known for known, name in new.items() if known not in old and name in goes] == []
