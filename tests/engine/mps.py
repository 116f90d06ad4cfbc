"""MPS on a real GPU: replicas whose pods are clients of one daemon. Run by `test_gpus.py`, on its stack.

Only where the stack file's pool is shared by MPS, because the device plugin's daemon sets the compute mode of the
pool's GPUs, and sets it to default when it ends (DP@v0.20.0:cmd/mps-control-daemon/mps/daemon.go).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.engine import gpus
from tests.engine.conftest import Engine, Row, since, told
from tests.engine.gpus import Ground, Json, Pods, container_of, finding
from tests.engine.tried import GOOD, held_to_its_grant, pods_of, reported, tried

OTHER_USER: Final = 12345


@pytest.fixture(scope="class")
def checked(engine: Engine, node: Ground) -> Json:
    """The report of a team's check on one replica by MPS."""
    if node.mps is None:
        pytest.skip(
            f"pool {node.pool} is not shared by MPS, whose daemon sets the GPUs' compute mode: it was not tried"
        )
    platform = gpus.platform_for(engine, {}, node.mps, way="mps")
    return tried(engine, f"one of {node.mps} replicas by MPS", platform)


@pytest.fixture(scope="class")
def clients(engine: Engine, node: Ground, checked: Json, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    """The team's cluster after that check."""
    yield from pods_of(engine, node, tmp_path_factory.mktemp("pods"))


def as_user(user: int) -> Callable[[Json], None]:
    """The pod's processes are another user's."""

    def change(pod: Json) -> None:
        pod["spec"]["securityContext"].update(runAsUser=user, runAsGroup=user)

    return change


def of_two_replicas(pod: Json) -> None:
    """Asks for two replicas, which may be one GPU."""
    container_of(pod)["resources"]["limits"] = {"nvidia.com/gpu": "2"}


class TestMps:
    """One team, replicas by MPS."""

    def test_a_replica_is_a_client_of_mps_with_a_part_of_the_memory(self, checked: Json) -> None:
        held_to_its_grant(checked, "sharing.replica", "sharing.isolation")
        assert "is shared by MPS as one of" in finding(checked, "sharing.replica")["message"]
        assert finding(checked, "sharing.isolation")["value"] is True

    def test_all_replicas_compute_at_once(self, clients: Pods, node: Ground) -> None:
        assert node.mps is not None
        began = time.monotonic()
        started = [clients.start(clients.like_the_check(f"replica-{i}", lambda pod: None)) for i in range(node.mps)]
        try:
            reports = [clients.report(name) for name in started]
        finally:
            clients.clear()
        for name, report in zip(started, reports, strict=True):
            told(reported(f"at once by MPS, {name}", report, since(began)))
            assert report["verdict"] in GOOD, report["sentence"]

    def test_a_neighbour_gets_no_more_than_its_part(self, clients: Pods, node: Ground) -> None:
        if node.memory_mib is None:
            pytest.skip(f"pool {node.pool} has no gpuMemoryMib: how much a neighbour must take is not known")
        began = time.monotonic()
        try:
            name = clients.start(clients.like_the_check("greedy", gpus.holding(int(node.memory_mib * 0.9))))
            clients.until(name, "Failed")
            said = clients.kubectl("logs", name).splitlines()[-1]
        finally:
            clients.clear()
        told(Row(what="greedy neighbour by MPS", verdict="refused", how="-", seconds=since(began), sentence=said))
        assert "out of memory" in said

    def test_two_replicas_in_one_pod_are_refused(self, clients: Pods) -> None:
        began = time.monotonic()
        try:
            name = clients.start(clients.like_the_check("two", of_two_replicas))
            clients.until(name, "Failed")
            why = clients.kubectl("get", "pod", name, "-o", "jsonpath={.status.message}")
        finally:
            clients.clear()
        told(Row(what="two replicas by MPS", verdict="refused", how="-", seconds=since(began), sentence=why))
        assert "maximum request size for shared resources is 1" in why

    def test_a_pod_of_another_user_is_refused_by_the_host(self, clients: Pods) -> None:
        # it would wait for the others, and where it gives up, the daemon answers nobody any more
        began = time.monotonic()
        try:
            why = clients.refused(clients.start(clients.like_the_check("other-user", as_user(OTHER_USER))))
        finally:
            clients.clear()
        told(Row(what="attack: another user by MPS", verdict="refused", how="-", seconds=since(began), sentence=why))
        assert "one-mps-user" in why
