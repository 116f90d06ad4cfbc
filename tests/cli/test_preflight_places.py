"""Places that one thing has at a time: a node's pool, a node port, a name that is still going, a class of volumes."""

from __future__ import annotations

from typing import Any

import pytest

from cli.preflight import ClusterFacts, Finding, Level, NodeFacts, ObjectFacts
from names import LABEL_POOL
from settings.load import parse_platform
from settings.models import Platform
from tests.cli.test_preflight import facts, found, gpu_node, platform


def with_workloads(**workloads: Any) -> Platform:
    """Team `ml` on its pool, with these workloads."""
    return parse_platform(
        {
            "host": {"provider": "existing", "address": "10.0.0.5"},
            "gpu": {"stack": "devicePlugin"},
            "pools": {"a": {"nodes": ["gpu-0", "gpu-1"], "gpusPerNode": 4, "gpuMemoryMib": 81920}},
            "teams": {"ml": {"pool": "a", "resources": {"gpus": 4, "cpu": 16}, "workloads": workloads}},
        },
        "here",
    )


def errors(platform: Platform, facts: ClusterFacts, ports: dict[str, int] | None = None) -> list[Finding]:
    return [finding for finding in found(platform, facts, ports=ports or {}) if finding.level is Level.ERROR]


APP = {"kind": "app", "cpu": "100m", "memory": "128Mi", "expose": {"nodePort": 30500}}
CHAT = {"kind": "inference", "model": "a/b", "weights": "1G", "gpu": {"count": 1}, "memory": "4Gi"}


@pytest.mark.parametrize(
    ("holder", "said"),
    [
        (None, None),
        (ObjectFacts(name="team-ml/web-app", ours=True), None),
        (ObjectFacts(name="team-ml/web-app", ours=False), "its NodePort 30500 is taken by Service team-ml/web-app"),
        (ObjectFacts(name="shop/front", ours=False), "its NodePort 30500 is taken by Service shop/front"),
        (
            # of an app that was renamed: the engine makes the new one first
            ObjectFacts(name="team-ml/old-app", ours=True),
            "its NodePort 30500 is taken by Service team-ml/old-app, which is deleted or changed only after the new",
        ),
    ],
)
def test_an_apps_port_is_free_or_its_own(holder: ObjectFacts | None, said: str | None) -> None:
    there = facts(node_ports={} if holder is None else {30500: holder})
    told = errors(with_workloads(web=APP), there)
    if said is None:
        assert told == []
    else:
        (finding,) = told
        assert (finding.id, finding.subject) == ("node-port", "team ml, workload web")
        assert said in finding.message
        assert finding.fix == "set teams.ml.workloads.web.expose.nodePort to a free one between 30000 and 32767"


def test_a_teams_port_that_another_of_our_services_has_is_not_free() -> None:
    moves = facts(node_ports={30123: ObjectFacts(name="team-old/old-api", ours=True)})
    (finding,) = errors(platform(), moves, ports={"ml": 30123})
    assert finding.id == "node-port"
    assert "team-old/old-api, which is deleted or changed only after" in finding.message


@pytest.mark.parametrize(
    ("workload", "classes", "id_", "words"),
    [
        ({"cache": {"size": "20Gi", "storageClass": "fast"}}, {"slow": True}, "storage-class", "to one of: slow"),
        ({"cache": {"size": "20Gi", "storageClass": "fast"}}, {"fast": False, "slow": True}, None, ""),
        ({"cache": {"size": "20Gi"}}, {"slow": True}, None, ""),
        ({}, {"slow": True}, None, ""),
    ],
)
def test_a_cache_has_a_class_that_is_there(
    workload: dict[str, Any], classes: dict[str, bool], id_: str | None, words: str
) -> None:
    told = errors(with_workloads(chat={**CHAT, **workload}), facts(storage_classes=classes))
    assert [finding.id for finding in told] == ([] if id_ is None else [id_])
    assert all(finding.subject == "team ml, workload chat" and words in finding.fix for finding in told)


def test_a_cache_without_a_class_needs_a_default_one() -> None:
    told = errors(with_workloads(chat={**CHAT, "cache": {"size": "20Gi"}}), facts(storage_classes={"slow": False}))
    # the virtual cluster's own volume has the same need
    assert [(one.id, one.subject) for one in told] == [
        ("storage-default", "team ml, workload chat"),
        ("storage-default", "StorageClass"),
    ]


def with_shared(**more: Any) -> Platform:
    """Team `ml` on a KAI of the host's, which this stack brings, and the operator or the plugin."""
    kai = {"scheduler": {"version": "v0.16.8"}}
    base = {
        "host": {"provider": "existing", "address": "10.0.0.5", **kai},
        "gpu": {"stack": "devicePlugin", "metrics": {}},
        "pools": {"a": {"nodes": ["gpu-0", "gpu-1"], "gpusPerNode": 4}},
        "teams": {
            "ml": {
                "pool": "a",
                "scheduler": {"mode": "host"},
                "resources": {"gpus": 4, "cpu": 16},
                "queues": {"work": {"gpu": 4}},
            }
        },
    }
    return parse_platform({**base, **more}, "here")


OURS = ("team-ml", "kai-scheduler", "gpu-tenancy", "nvidia-device-plugin", "dcgm-exporter")


@pytest.mark.parametrize("space", OURS)
def test_a_namespace_that_is_going_takes_nothing(space: str) -> None:
    told = [one for one in errors(with_shared(), facts(ending=frozenset({space, "web"}))) if "namespace" in one.subject]
    assert [(one.id, one.subject) for one in told] == [("namespace-ending", f"namespace {space}")]


def test_a_namespace_that_this_stack_does_not_make_may_go_as_slowly_as_it_likes() -> None:
    going = facts(ending=frozenset({"kai-scheduler", "gpu-operator", "gpu-tenancy", "nvidia-device-plugin"}))
    by_the_cluster = {"gpu": {"stack": "devicePlugin", "owner": "cluster"}, "check": {"host": False}}
    shared = with_shared(
        host={"provider": "existing", "address": "10.0.0.5", "scheduler": {"version": "v0.16.8", "owner": "cluster"}},
        **by_the_cluster,
    )
    assert not [one for one in errors(shared, going) if one.id == "namespace-ending"]
    told = {one.subject for one in errors(platform(), going) if one.id == "namespace-ending"}
    assert told == {"namespace gpu-tenancy", "namespace nvidia-device-plugin"}


def labelled(pool: str, *, ours: bool, **more: str) -> NodeFacts:
    labels = {LABEL_POOL: pool, **more}
    return gpu_node("gpu-0", labels=labels, ours=frozenset(labels) if ours else frozenset[str]())


@pytest.mark.parametrize(
    ("node", "id_", "words"),
    [
        (labelled("a", ours=True), None, ""),
        # it moves to this pool: its patch is the same, under another name
        (labelled("b", ours=True), None, ""),
        (labelled("a", ours=False), "node-of-others", "take it out of that stack"),
        (labelled("b", ours=False), "node-of-others", "take it out of that stack"),
    ],
)
def test_a_node_is_of_this_stacks_pool_and_of_no_other(node: NodeFacts, id_: str | None, words: str) -> None:
    told = errors(platform(), facts(node, gpu_node("gpu-1")))
    assert [finding.id for finding in told] == ([] if id_ is None else [id_])
    assert all(words in finding.fix for finding in told)


def test_the_hosts_check_finds_a_node_by_its_own_name() -> None:
    other = gpu_node("gpu-0", labels={"kubernetes.io/hostname": "machine-7"})
    (finding,) = errors(platform(), facts(other, gpu_node("gpu-1")))
    assert finding.id == "node-hostname"
    same = gpu_node("gpu-0", labels={"kubernetes.io/hostname": "gpu-0"})
    assert errors(platform(), facts(same, gpu_node("gpu-1"))) == []


CONFIG = "nvidia.com/device-plugin.config"
OPERATOR = {"stack": "gpuOperator", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}
PRESENT = {"nvidia.com/gpu.present": "true"}
SLICED = {"sharing": {"timeSlicing": {"replicas": 4}}}
MPS = {"sharing": {"mps": {"replicas": 4}}}
FOUND = {"nodes": [], "selector": {"kind": "gpu"}, "nodeCount": 1}


@pytest.mark.parametrize(
    ("pool", "gpu", "labels", "said", "fix"),
    [
        # nodes that a selector finds get no labels from us
        (
            FOUND,
            {},
            {},
            "lacks nvidia.com/gpu.present=true",
            "label --overwrite node gpu-0 nvidia.com/gpu.present=true`",
        ),
        (FOUND, {}, PRESENT, "", ""),
        (FOUND, {}, {"feature.node.kubernetes.io/pci-10de.present": "true"}, "", ""),
        (FOUND, OPERATOR, {}, "", ""),
        (FOUND, {"owner": "cluster"}, {}, "", ""),
        (FOUND | {"gpusPerNode": 0}, {}, {}, "", ""),
        (FOUND | SLICED, {}, PRESENT, f"lacks {CONFIG}=a", f"{CONFIG}=a`, or write pools.a.nodes"),
        (FOUND | SLICED, {}, {**PRESENT, CONFIG: "b"}, f"lacks {CONFIG}=a", f"{CONFIG}=a`"),
        (FOUND | SLICED, OPERATOR, {}, f"lacks {CONFIG}=a", f"{CONFIG}=a`"),
        (FOUND | SLICED, {}, {**PRESENT, CONFIG: "a"}, "", ""),
        (FOUND | SLICED, {"owner": "cluster"}, {}, "", ""),
        (
            FOUND | MPS,
            {},
            {**PRESENT, CONFIG: "a"},
            "lacks nvidia.com/mps.capable=true",
            "nvidia.com/mps.capable=true`",
        ),
        # on nodes by name somebody else's value stays, and ours is refused
        (SLICED, {}, {}, "", ""),
        (SLICED, {}, {CONFIG: "a"}, "", ""),
        (SLICED, {}, {CONFIG: "four"}, f"has {CONFIG}=four of somebody else", f"`kubectl label node gpu-0 {CONFIG}-`"),
        (SLICED, {"owner": "cluster"}, {CONFIG: "four"}, "", ""),
        (
            MPS,
            {},
            {"nvidia.com/mps.capable": "false"},
            "has nvidia.com/mps.capable=false",
            "gpu-0 nvidia.com/mps.capable-`",
        ),
        ({}, {}, {"nvidia.com/gpu.present": "false"}, "is refused (409)", "gpu-0 nvidia.com/gpu.present-`"),
    ],
)
def test_a_node_has_the_labels_that_our_device_plugin_asks_for(
    pool: dict[str, Any], gpu: dict[str, Any], labels: dict[str, str], said: str, fix: str
) -> None:
    bare = gpu_node("gpu-0", gpus=None, labels={"kind": "gpu", **labels})
    told = [one for one in errors(pooled(pool, gpu), facts(bare)) if one.id == "plugin-labels"]
    assert [one.subject for one in told] == (["pool a, node gpu-0"] if said else [])
    assert all(said in one.message and fix in one.fix for one in told)


def test_a_node_that_has_gpus_is_found_already() -> None:
    assert errors(pooled(FOUND, {}), facts(gpu_node("gpu-0", labels={"kind": "gpu"}))) == []


@pytest.mark.parametrize(
    ("others", "ours", "right"), [(SLICED, False, 1), (SLICED, True, 0), ({}, False, 0)], ids=["left", "goes", "inert"]
)
def test_a_pool_that_shares_nothing_takes_no_other_pools_replicas(
    others: dict[str, Any], ours: bool, right: int
) -> None:
    left = gpu_node("gpu-0", labels={CONFIG: "b"}, ours=frozenset({CONFIG} if ours else ()))
    more = {"b": {"nodes": ["gpu-9"], "gpusPerNode": 4, **others}}
    told = [one for one in errors(pooled({}, {}, **more), facts(left)) if one.subject == "pool a, node gpu-0"]
    assert [one.fix for one in told] == [f"`kubectl label node gpu-0 {CONFIG}-`"] * right


@pytest.mark.parametrize(
    ("pool", "gpu", "labels", "ours", "said"),
    [
        (MPS, {}, PRESENT, False, "finds it by nvidia.com/gpu.present=true: "),
        (MPS, OPERATOR, {"feature.node.kubernetes.io/pci-10de.present": "true"}, False, "shares this node's GPUs"),
        (MPS, {}, {**PRESENT, CONFIG: "default"}, False, ""),
        (MPS, {}, {}, False, ""),
        (MPS, {"owner": "cluster"}, PRESENT, False, ""),
        (SLICED, {}, PRESENT, False, ""),
        # labels of a pool that it was in until now go with this `up`
        (MPS, {}, PRESENT, True, ""),
        (MPS, {}, {**PRESENT, CONFIG: "a"}, True, ""),
    ],
)
def test_a_node_of_no_pool_is_not_shared_by_mps_because_a_pool_is(
    pool: dict[str, Any], gpu: dict[str, Any], labels: dict[str, str], ours: bool, said: str
) -> None:
    stranger = gpu_node("gpu-7", labels=labels, ours=frozenset(labels if ours else ()))
    told = [one for one in errors(pooled(pool, gpu), facts(gpu_node("gpu-0"), stranger)) if "gpu-7" in one.subject]
    fix = f"`kubectl label node gpu-7 {CONFIG}=default`, or put it into a pool"
    assert [(one.id, one.fix) for one in told] == ([("plugin-labels", fix)] if said else [])
    assert all(said in one.message for one in told)


def pooled(pool: dict[str, Any], gpu: dict[str, Any], **more: Any) -> Platform:
    """Pool `a` with one node, and other ones."""
    return parse_platform(
        {
            "host": {"provider": "existing", "address": "10.0.0.5"},
            "gpu": {"stack": "devicePlugin", **gpu},
            "pools": {"a": {"nodes": ["gpu-0"], "gpusPerNode": 4, **pool}, **more},
            "teams": {"ml": {"pool": "a", "resources": {"gpus": min(1, pool.get("gpusPerNode", 1))}}},
        },
        "here",
    )
