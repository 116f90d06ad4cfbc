"""What each judge says of two values, as `judgements.txt` has it: one line for each case."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from preview.facts import BLUE_GREEN, CANARY_OF, CLUSTER_UID, GPU_BOUND, HARD, MADE, Facts
from preview.judges import machines, nodes, numbers, queues, settings, versions, workloads
from preview.kinds import Edit, Effect
from preview.usage import Use
from preview.values import UnreadableError
from tests.preview.world import UNKNOWN

FILE: Final = Path(__file__).with_name("judgements.txt")
DISK = "limits.ephemeral-storage"


def edit(
    before: object = None,
    after: object = None,
    *,
    path: str = "teams.ml.field",
    stack: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
    pools: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
    team: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
    others: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
    use: Use | None = None,
) -> Edit:
    old, new = (
        Facts(stack=stack[side], pools=pools[side], tenants={"ml": team[side], **others[side]}) for side in (0, 1)
    )
    return Edit(path=path, tenant="ml", before=before, after=after, old=old, new=new, use=use)  # type: ignore[arg-type]


def uses(gpus: int | None = None, *, nodes: dict[str, int] | None = None, **bounds: int) -> Use:
    found = {key.replace("_", "."): Decimal(value) for key, value in bounds.items()}
    return Use(bounds={**found, **({} if gpus is None else {GPU_BOUND: Decimal(gpus)})}, nodes=nodes)


def ours(one: object, other: object, uid: object = None, other_uid: object = None) -> Any:
    return {MADE: one, CLUSTER_UID: uid}, {MADE: other, CLUSTER_UID: other_uid}


def slurm(one: object, other: object) -> Any:
    return {"slurm.host": one}, {"slurm.host": other}


def seen(pool: object, found: object, new_pool: object, new: object) -> Any:
    return {"pool": pool, "nodes": found}, {"pool": new_pool, "nodes": new}


def side(facts: Mapping[str, Any]) -> Any:
    return facts, facts


def shared(one: int, other: int) -> Any:
    return {"a": {"replicas": one}}, {"a": {"replicas": other}}


def mode(word: str) -> Any:
    return side({"scheduler.mode": word})


def sized(one: object, other: object) -> Any:
    key = "workloads.chat.cache.size"
    return {key: one}, {key: other}


A: Final = side({"pool": "a"})
SERVES: Final = {BLUE_GREEN: "blue", CANARY_OF: None}
MANY: Final = [f"n{number}" for number in range(8)]
CHAT: Final = "teams.ml.workloads.chat.field"
LEAF: Final = "teams.ml.queues.train.gpu.limit"
CHECK: Final = "teams.ml.queues.gpu-check.gpu.limit"
SNAPSHOTS: Final = "vcluster.snapshots.size"
BUCKET: Final = "vcluster.snapshots.s3.bucket"
LIMIT: Final = "resources.gpus.limit"
LOWERS_MEMORY: Final = numbers.lowered_bound("requests.memory")
LOWERS_DISK: Final = numbers.lowered_bound(DISK)

CASES: Final[Mapping[Callable[[Edit], Effect | None], list[Edit]]] = {
    machines.made: [
        edit("kind a", None),
        edit("kind a", "kind b"),
        edit(None, "kind a"),
        edit(None, "kind a", stack=ours(None, "kind a", "u", "u")),
        edit(None, "kind a", stack=ours(None, "kind a", "u", "v")),
    ],
    machines.machine: [
        edit("key", "other", stack=ours(None, "kind a")),
        edit("key", "other", stack=ours("kind a", None)),
        edit("key", None, stack=ours("kind a", "kind a")),
        edit(None, "key", stack=ours("kind a", "kind a", "u", "v")),
        edit("key", "other", stack=ours("kind a", "kind a", "u", "u")),
    ],
    machines.host_kubernetes: [
        edit(None, "v1.34.1"),
        edit("v1.34.1", None),
        edit("latest", "v1.34.1"),
        edit("v1.34.1", "latest"),
        edit("v1.34.4", "v1.34.1"),
        edit("v1.34.1", "v1.33.9"),
        edit("v1.34.1", "v1.35.0"),
    ],
    machines.docker: [edit(False, True), edit(None, True), edit(True, False)],
    machines.nvidia_addon: [edit(False, True), edit(None, True), edit(True, False)],
    machines.slurm_host: [edit(None, "g1"), edit("g1", None), edit("g1", "g2")],
    machines.slurm_machine: [
        edit("m1", "m2", stack=slurm("g1", "g2")),
        edit("m1", "m2", stack=slurm("g1", "g1")),
        edit(None, "m2", stack=slurm("g1", "g1")),
        edit("m1", None, stack=slurm("g1", "g1")),
    ],
    machines.slurm_partition: [
        edit("p", "q", stack=slurm("g1", "g1")),
        edit(None, "q", stack=slurm("g1", "g1")),
        edit("p", "q", stack=slurm("g1", None)),
    ],
    machines.slurm_gpus: [
        edit(4, 3, stack=slurm("g1", "g1")),
        edit(4, 4.0, stack=slurm("g1", "g1")),
        edit(4, 5, stack=slurm("g1", "g1")),
        edit(None, 5, stack=slurm("g1", "g1")),
    ],
    machines.slurm_setting: [edit("x", "y", stack=slurm("g1", "g1")), edit("x", "y", stack=slurm(None, None))],
    nodes.lost: [
        edit(team=({"pool": "a"}, {"pool": "a", "nodes": ["n1"]})),
        edit(team=({"pool": "a", "nodes": ["n1"]}, {})),
        edit(team=seen(None, [], "a", ["n1"])),
        edit(team=seen("a", ["n1"], "a", ["n1"])),
        edit(team=seen("a", ["n1"], "a", ["n1", "n2"])),
        edit(team=seen("a", ["n1", "n2"], "a", ["n2"])),
        edit(team=seen("a", ["n1", "n2"], "a", ["n2"]), use=uses(0)),
        edit(team=seen("a", ["n1", "n2"], "a", ["n2"]), use=uses(0, pods=3)),
        edit(team=seen("a", ["n1", "n2"], "a", ["n2"]), use=uses(1)),
        edit(team=seen("a", ["n1", "n2"], "a", ["n2"]), use=uses(1, nodes={"n1": 1, "n2": 4})),
        edit(team=seen("a", ["n1", "n2"], "a", ["n2"]), use=uses(1, nodes={"n2": 4})),
        edit(team=seen("a", MANY, "b", ["m1"]), use=uses(1, nodes={"n0": 2, "m1": 5})),
        edit(team=seen("a", MANY[:6], None, [])),
        edit(team=seen("a", MANY[:7], None, [])),
        edit(team=seen("a", [], "b", [])),
        edit(team=seen("a", [], "a", ["n1"])),
        edit(team=seen("a", ["n1"], "a", []), use=uses(1, nodes={"n1": 1, "n2": 4})),
        edit(team=seen("a", [], "a", []), pools=({"a": {"selector": "x"}}, {"a": {"selector": "x"}})),
        edit(team=seen("a", [], "a", []), pools=({"a": {"selector": "x"}}, {"a": {"selector": "y"}})),
        edit(team=seen("a", ["n1"], "b", ["n1"])),
        edit(team=seen("a", ["n1"], "b", ["n1"]), use=uses(nodes={"n1": 0})),
        edit(team=seen("a", ["n1"], "b", ["n1"]), use=uses(nodes={"n1": 1})),
        edit(team=seen("a", ["n1"], "b", ["n1"]), use=uses()),
        edit(team=seen(UNKNOWN, ["n1"], "a", ["n1"])),
        edit(team=seen("a", [UNKNOWN], "a", ["n1"])),
        edit(
            team=seen("a", ["n1", "n2"], "a", ["n2"]),
            others=(
                {"x": {"nodes": []}, "had": {"nodes": ["n1"]}},
                {"x": {"nodes": ["n1"]}, "y": {"nodes": ["n3"]}, "had": {"nodes": ["n1"]}},
            ),
        ),
        edit(
            team=seen("a", ["n1", "n2", "n3"], "a", ["n3"]),
            others=({}, {"x": {"nodes": ["n1"]}, "y": {"nodes": ["n2"]}}),
        ),
    ],
    LOWERS_MEMORY: [
        edit("2Gi", "1.3337Gi"),
        edit("2Gi", "1Gi", use=uses(requests_memory=2**30)),
        edit("2Gi", "1Gi", use=uses(requests_memory=2**30 + 1)),
        edit("2Gi", "1Gi", use=uses(requests_memory=2**30 + 1), team=side({HARD: {"requests.memory": "3Gi"}})),
        edit("2Gi", "1Gi", use=uses(0)),
        edit("2Gi", -1),
        edit(-1, "2Gi"),
        edit("2Gi", "2048Mi"),
        edit(None, "2Gi"),
        edit("2Gi", None),
    ],
    LOWERS_DISK: [edit("2Gi", "1Gi")],
    numbers.gpu_limit: [
        edit(None, 4),
        edit(4, None),
        edit(4, "four"),
        edit("four", 4),
        edit(4, 4.0),
        edit(4, 2),
        edit(4, 2, use=uses(2)),
        edit(4, 2, use=uses(3)),
        edit(-1, 2),
        edit(4, -1),
        edit(8, 4, team=A, pools=shared(2, 2)),
        edit(4, 8, team=A, pools=shared(1, 4), use=uses(3)),
        edit(8, 8.0, team=A, pools=shared(4, 3), use=uses(1)),
        edit(1, 2, team=A, pools=shared(4, 1), use=uses(0)),
        edit(4, 2, team=A, pools=({"a": {}}, {"a": {"replicas": 2}})),
    ],
    numbers.unit: [
        edit(team=side({"pool": "a", LIMIT: 0}), pools=shared(1, 4)),
        edit(team=({"pool": "a", LIMIT: 0}, {"pool": "a", LIMIT: 4}), pools=shared(1, 4)),
        edit(team=({"pool": "a", LIMIT: 4}, {"pool": "a", LIMIT: 0}), pools=shared(1, 4)),
        edit(team=side({"pool": "a", LIMIT: 4}), pools=shared(4, 4)),
        edit(team=({"pool": "a", LIMIT: "four"}, {"pool": "a", LIMIT: 4}), pools=shared(1, 4)),
        edit(team=({"pool": "a", LIMIT: 4}, {"pool": "a", LIMIT: "four"}), pools=shared(1, 4)),
    ],
    numbers.gpu_quota: [
        edit(None, 4),
        edit(4, None),
        edit(4, 4.0),
        edit(4, 2),
        edit(-1, 2),
        edit(4, -1),
        edit("four", 2),
        edit(4, "two"),
    ],
    queues.limit: [
        edit(None, 2, path=LEAF),
        edit(2, 2.0, path=LEAF),
        edit(4, 2, path=LEAF),
        edit(4, 2, path=LEAF, use=uses(2)),
        edit(4, 2, path=LEAF, use=uses(3)),
        edit(4, 2, path=LEAF, use=uses()),
        edit(4, 2, path=LEAF, use=Use(queues={"train": Decimal(3)})),
        edit(4, 2, path=LEAF, use=Use(queues={"ml-train": Decimal(3)}), team=mode("host")),
        edit(4, -1, path=LEAF),
        edit(2, None, path=LEAF),
        edit(2, None, path=LEAF, use=uses(0)),
        edit(2, None, path=LEAF, use=uses(1)),
        edit(2, None, path=CHECK),
        edit(2, None, path=CHECK, team=mode("host")),
        edit(2, None, path=CHECK, team=side({"scheduler.mode": "host", "queues.gpu-check.gpu.overQuotaWeight": 0})),
        edit(2, None, path=CHECK, team=side({"scheduler.mode": "virtual", "queues.gpu-check.gpu.overQuotaWeight": 0})),
        edit(2, None, path=LEAF, team=side({"scheduler.mode": "host", "queues.train.gpu.overQuotaWeight": 0})),
    ],
    settings.mode: [
        edit("default", "virtual"),
        edit("virtual", "host"),
        edit("virtual", "host", use=uses(0)),
        edit("virtual", "host", use=uses(2)),
    ],
    settings.state: [edit("active", "paused"), edit("active", "paused", use=uses(0)), edit("paused", "active")],
    settings.shared_owner: [edit(None, "us"), edit("us", None), edit("us", "them")],
    settings.backing_store: [edit("sqlite", "etcd")],
    settings.persistence: [edit(True, False), edit(False, True)],
    settings.sharing: [edit(True, False), edit(False, True)],
    settings.snapshots: [
        edit(team=({SNAPSHOTS: "9Gi"}, {SNAPSHOTS: "5Gi"})),
        edit(team=({SNAPSHOTS: "5Gi"}, {SNAPSHOTS: "9Gi"})),
        edit(team=({SNAPSHOTS: "1Gi"}, {SNAPSHOTS: "1024Mi"})),
        edit(team=side({SNAPSHOTS: "9Gi"})),
        edit(team=({}, {SNAPSHOTS: "9Gi"})),
        edit(team=({SNAPSHOTS: "9Gi"}, {})),
        edit(team=({SNAPSHOTS: "9Gi"}, {SNAPSHOTS: "9Gi", BUCKET: "b"})),
        edit(team=({SNAPSHOTS: "9Gi", BUCKET: "b"}, {SNAPSHOTS: "5Gi"})),
    ],
    settings.isolation: [
        edit("baseline", "restricted"),
        edit("restricted", "baseline"),
        edit("other", "another"),
        edit("other", "privileged"),
    ],
    settings.user_kubeconfig: [edit(True, False), edit(False, True)],
    settings.same_cluster: [
        edit("a", "b", stack=side({"host.provider": "lab"})),
        edit("a", "b", stack=({"host.provider": "lab"}, {"host.provider": "kind"})),
        edit("a", "b", stack=({"host.provider": "kind"}, {"host.provider": "lab"})),
        edit("a", "b", stack=side({"host.provider": "kind"})),
        edit("a", None, stack=({CLUSTER_UID: "u"}, {})),
        edit(None, "b", stack=({}, {CLUSTER_UID: "u"})),
        edit("a", "b", stack=side({CLUSTER_UID: "u"})),
        edit("a", "b", stack=({CLUSTER_UID: "u"}, {CLUSTER_UID: "v"})),
    ],
    settings.provider: [
        edit("kind", "k3s", stack=side({CLUSTER_UID: "u"})),
        edit("kind", "k3s", stack=({CLUSTER_UID: "u"}, {CLUSTER_UID: "v"})),
        edit("kind", "k3s", stack=({CLUSTER_UID: "u"}, {})),
        edit("kind", "k3s"),
    ],
    settings.storage_class: [
        edit("a", None, team=side({"vcluster.persistence": False})),
        edit(None, "b", team=side({"vcluster.persistence": True})),
    ],
    settings.gpu_driver: [
        edit(None, "operator 1"),
        edit("host", "operator 1"),
        edit("operator 1", "host"),
        edit("operator 1", "operator 2", use=uses(0)),
        edit("operator 1", None, use=uses(1)),
    ],
    versions.kai_version: [
        edit("v0.9.2", None),
        edit(None, "v0.9.2"),
        edit("v0.9.2", "v0.9.3"),
        edit("v0.9.2", "v0.14.7"),
        edit("v0.9.2", "v9.9.9"),
        edit("v0.9.2", "v0.9.3", team=side(SERVES)),
    ],
    versions.shared_kai: [
        edit("v0.9.2", "v0.9.3"),
        edit("v0.9.2", "v0.9.3", team=mode("host")),
        edit("v0.9.2", "v0.14.7", team=mode("host")),
        edit("v0.9.2", None, team=mode("host")),
        edit(None, "v0.9.2", team=mode("host")),
    ],
    versions.vcluster_version: [
        edit("0.35.3", "0.36.1"),
        edit("0.34.7", "0.36.1"),
        edit("0.36.1", "0.36.0"),
        edit("0.36.1", "0.36.1+new"),
        edit("0.36.1", "0.35.9"),
        edit("0.36.1", "1.38.0"),
        edit("0.36.1", "newest"),
        edit("newest", "0.36.1"),
        edit("0.35.3", "0.36.1", team=side(SERVES)),
        edit("0.35.3", "0.36.1", team=(SERVES, {**SERVES, CANARY_OF: "ml-green"})),
        edit("0.35.3", "0.36.1", team=({**SERVES, CANARY_OF: "ml-green"}, SERVES)),
        edit("0.35.3", "0.36.1", team=({}, SERVES)),
    ],
    versions.kubernetes_version: [
        edit("v1.34.0", "v1.33.4"),
        edit("v1.34.0", "v1.33.4", team=side({"scheduler.version": "v0.18.6"})),
        edit("v1.36.0", "v1.30.0", team=side({"scheduler.version": "v0.7.11"})),
        edit("v1.33.4", "v1.34.0", team=side({"scheduler.version": "v0.18.6"})),
        edit("newest", "v1.34.0"),
    ],
    workloads.kind: [edit("app", None, path=CHAT), edit("app", "inference", path=CHAT)],
    workloads.restarts: [edit("x", "y", path=CHAT)],
    workloads.replicas: [
        edit(3, 2, path=CHAT),
        edit(3, 3.0, path=CHAT),
        edit(2, 3, path=CHAT),
        edit(None, 3, path=CHAT),
        edit(3, None, path=CHAT),
    ],
    workloads.address: [edit(None, "a", path=CHAT), edit("a", "b", path=CHAT)],
    workloads.cache_size: [
        edit(None, "1Gi", path=CHAT),
        edit("1Gi", None, path=CHAT),
        edit("2Gi", "1Gi", path=CHAT),
        edit("1Gi", "1024Mi", path=CHAT),
        edit("1Gi", "2Gi", path=CHAT),
        edit("1Gi", "much", path=CHAT),
    ],
    workloads.controller_volume: [
        edit(None, "1Gi", path=CHAT),
        edit("1Gi", None, path=CHAT),
        edit("1Gi", "2Gi", path=CHAT),
    ],
    workloads.cache_class: [
        edit("a", "b", path=CHAT, team=sized("1Gi", "1Gi")),
        edit("a", "b", path=CHAT, team=sized(None, "1Gi")),
        edit("a", "b", path=CHAT, team=sized("1Gi", None)),
    ],
}


def values(subject: Edit) -> str:
    whole = subject.before is None and subject.after is None
    one, other = (subject.was, subject.now) if whole else (subject.before, subject.after)
    return f"{one} → {other}"


def said(judge: Callable[[Edit], Effect | None], subject: Edit) -> str:
    try:
        effect = judge(subject)
    except UnreadableError as error:
        return f"unreadable: {error}"
    if effect is None:
        return "nothing"
    allowed = f", allowed by {effect.allow}" if effect.allow else ""
    return f"{effect.kind.value} [{effect.topic}]: {effect.means}{allowed}"


def test_what_a_judge_says_of_two_values_is_as_recorded() -> None:
    """Written anew with RECORD=1 in the environment."""
    lines = []
    for judge, subjects in CASES.items():
        lines.append(f"{judge.__module__.removeprefix('preview.judges.')}.{judge.__name__}")
        lines += [f"  {values(each)}: {said(judge, each)}" for each in subjects]
    text = "\n".join(lines) + "\n"
    if "RECORD" in os.environ:
        FILE.write_text(text, encoding="utf-8")
    assert text == FILE.read_text(encoding="utf-8")
