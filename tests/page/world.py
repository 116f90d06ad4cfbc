"""A snapshot to show: some teams, every state of a GPU, faults of each kind; and one of many teams."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from seen.model import Check, Component, Finding, Gap, GpuState, Holder, Node, Pod, Pool, Queue, Seen, Team, Unit

NOW = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)
EVIL = "<img src=x onerror=alert(1)></script>&'\""
"""A name that a page must not take for markup."""


def unit(number: int, state: GpuState = GpuState.FREE, *holders: Holder, node: str = "gpu-0", **more: Any) -> Unit:
    return Unit(node=node, number=number, resource="nvidia.com/gpu", state=state, holders=holders, **more)


def holder(team: str, share: float | None = 1.0, pod: str = "train-0") -> Holder:
    return Holder(team=team, namespace="default", pod=pod, share=share)


def node(name: str = "gpu-0", *units: Unit, **changes: Any) -> Node:
    return Node(
        **{
            "name": name,
            "pool": "a100",
            "ready": True,
            "cordoned": False,
            "taints": (),
            "product": "NVIDIA-H200",
            "memory_mib": 143771,
            "units": units,
            **changes,
        }
    )


def pod(team: str, name: str, **changes: Any) -> Pod:
    base: dict[str, Any] = {
        "team": team,
        "namespace": "default",
        "name": name,
        "host_name": "",
        "node": "",
        "phase": "Running",
        "state": "Running",
        "ready": True,
        "queue": "training",
        "gpus": 1.0,
        "fraction": None,
        "memory_mib": 0,
        "devices": 0,
        "groups": (),
        "created": NOW,
        "started": NOW,
        "ended": None,
        "scheduler": "kai-scheduler",
        "owner": "",
        "ours": False,
    }
    return Pod(**{**base, **changes})


def queue(name: str, team: str, parent: str = "", **changes: Any) -> Queue:
    base: dict[str, Any] = {
        "name": name,
        "shown": name,
        "team": team,
        "parent": parent,
        "quota": 2.0,
        "limit": 4.0,
        "weight": 1.0,
        "priority": 100,
        "used": 0.0,
        "waiting": 0.0,
        "on_host": False,
    }
    return Queue(**{**base, **changes})


KAI = (
    Component(name="kai-operator", version="v0.16.8", ready=1, wanted=1),
    Component(name="kai-scheduler-default", version="v0.16.8", ready=1, wanted=1),
)


def team(name: str, **changes: Any) -> Team:
    base: dict[str, Any] = {
        "name": name,
        "namespace": f"team-{name}",
        "pool": "a100",
        "mode": "virtual",
        "nodes": ("gpu-0",),
        "api": "up",
        "made": NOW - timedelta(days=3),
        "kubernetes": "v1.34.4",
        "vcluster": "0.36.1",
        "kai": KAI,
        "queues": (),
        "pods": (),
        "quota": {"requests.nvidia.com/gpu": (2.0, 4.0)},
        "check": Check(verdict="pass", at=NOW - timedelta(hours=2), sentence="1 x NVIDIA H200: right."),
    }
    return Team(**{**base, **changes})


def seen(**changes: Any) -> Seen:
    base: dict[str, Any] = {
        "stack": "prod",
        "at": NOW,
        "kubernetes": "v1.34.4",
        "pools": (),
        "teams": (),
        "kai": (),
        "plugin": (Component(name="nvidia-device-plugin", version="v0.20.0", ready=2, wanted=2),),
        "pods": (),
        "events": (),
        "gaps": (),
    }
    return Seen(**{**base, **changes})


def some() -> Seen:
    """Two pools and five teams with something of everything."""
    bad = Finding(severity="fail", message="2 pages are retired.", advice="Replace the GPU.", gpu="0")
    first = node(
        "gpu-0",
        unit(0, GpuState.USED, holder("ml")),
        unit(1, GpuState.USED, holder("ml", 0.5), holder("vision", 0.3, "notebook"), uuid="GPU-1"),
        unit(2, GpuState.RESERVED),
        unit(3),
        unit(4, GpuState.UNHEALTHY),
        unit(5, GpuState.USED, holder("", 1.0, "somebody")),
        unit(6, GpuState.USED, holder("research", None)),
        unit(7),
    )
    out = node("gpu-1", *(unit(each, node="gpu-1") for each in range(8)), cordoned=True, fenced="Xid 79")
    dead = node("gpu-2", *(unit(each, node="gpu-2") for each in range(4)), ready=False, pool="l4", product="NVIDIA-L4")
    queues = (
        queue("ml", "ml", quota=3.0, limit=6.0, used=4.0, waiting=1.0),
        queue("training", "ml", "ml", quota=2.0, limit=6.0, used=3.5, waiting=1.0, weight=2.0),
        queue("notebooks", "ml", "ml", quota=1.0, limit=2.0, used=0.5, priority=50),
    )
    return seen(
        pools=(Pool(name="a100", nodes=(first, out)), Pool(name="l4", nodes=(dead,))),
        teams=(
            team(
                "ml",
                queues=queues,
                pods=(pod("ml", "train-0", node="gpu-0"), pod("ml", "b", phase="Pending", state="Pending")),
            ),
            team("research", api="down: no answer in time", kai=(), queues=(), check=None, kubernetes=""),
            team(
                "vision",
                check=Check(verdict="fail", at=NOW, sentence="GPU 0: 2 pages are retired.", findings=(bad,)),
                queues=(queue("vision", "vision"), queue("annotation", "vision", "vision", limit=-1.0)),
            ),
            team("speech", kai=(Component(name="admission", version="v0.16.8", ready=0, wanted=1),)),
            team("web", pool="cpu", mode="default", kai=(), quota={}, check=None),
        ),
        gaps=(Gap(what="host: events", why="forbidden"), Gap(what="team research: everything", why="no answer")),
    )


def many(teams: int = 100) -> Seen:
    """So many teams, each with a node of 8 GPUs of its own, and three queues."""
    nodes = tuple(
        node(
            f"gpu-{at:03d}",
            *(
                unit(n, GpuState.USED, holder(f"team-{at:03d}", pod=f"train-{n}"), node=f"gpu-{at:03d}")
                for n in range(6)
            ),
            unit(6, node=f"gpu-{at:03d}"),
            unit(7, node=f"gpu-{at:03d}"),
        )
        for at in range(teams)
    )

    def queues(name: str) -> tuple[Queue, ...]:
        leaves = (queue(leaf, name, name, used=3.0) for leaf in ("training", "notebooks"))
        return (queue(name, name, quota=4.0, limit=8.0, used=6.0), *leaves)

    names = [f"team-{at:03d}" for at in range(teams)]
    return seen(
        pools=(Pool(name="a100", nodes=nodes),),
        teams=tuple(team(name, queues=queues(name), pods=(pod(name, "train-0"),)) for name in names),
    )
