"""A lab's servers on a busy machine, by their processes, ports and answers alone. No server is started."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from lightkube import Client, KubeConfig
from lightkube.config.models import Cluster, User

from lab import clusters, marker, objects
from lab.clusters import HOST, Clusters
from lab.errors import LabError
from lab.kwok import CORE_PROGRAMS, HELPER_PROGRAMS, LISTENERS, SERVER_PROGRAMS
from lab.objects import Objects
from lab.processes import LOOPBACK, is_free
from lab.record import LabRecord, Record, write
from tests.lab.conftest import ROOT, free_ports, own_ports
from tests.serving import serving

pytestmark = pytest.mark.slow

UID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clusters:
    """A lab with one server on record; which of its programs run is what `running` says."""
    found = Clusters(tmp_path / ".lab", lambda: pytest.fail("no program is needed"))
    ports = dict(zip(LISTENERS, free_ports(), strict=False))
    write(found.home, LabRecord(id="mine", clusters={HOST: Record(ports=ports, uid=UID)}))
    monkeypatch.setattr(found, "_identity", lambda name: UID)
    return found


def running(monkeypatch: pytest.MonkeyPatch, found: Clusters, programs: set[str] | frozenset[str]) -> None:
    monkeypatch.setattr(found, "_running", lambda name: set(programs))


def test_a_server_whose_helper_gave_up_still_runs_and_is_not_made_anew(
    made: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(monkeypatch, made, SERVER_PROGRAMS - {"kube-controller-manager"})
    found = made.find(HOST)
    assert found is not None
    assert found.uid == UID


def test_a_server_without_its_etcd_does_not_run(made: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    running(monkeypatch, made, SERVER_PROGRAMS - {"etcd"})
    assert made.find(HOST) is None


def test_what_gave_up_is_started_again_in_every_server_at_the_next_command(
    made: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = set(CORE_PROGRAMS)
    started = []

    def kwokctl(name: str, *arguments: str) -> tuple[int, str]:
        started.append((name, arguments[:2]))
        alive.update(HELPER_PROGRAMS)
        return 0, ""

    monkeypatch.setattr(made, "_running", lambda name: set(alive))
    monkeypatch.setattr(made, "_kwokctl", kwokctl)
    made.mend_all()
    made.mend_all()
    assert not made.mend(HOST)
    assert started == [(HOST, ("start", "cluster"))]


def test_a_wait_begins_anew_after_what_brings_it_about_was_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that counts looks: ten seconds are not enough, and each restart gives ten more."""
    seconds, looks = itertools.count(), itertools.count()
    monkeypatch.setattr(objects, "time", SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: None))
    restarts = iter([True, False, True, *[False] * 100])
    client: Any = None
    waiting = Objects(HOST, client, lambda: next(restarts))
    waiting.wait(lambda: next(looks) >= 16, 10, "never came")
    with pytest.raises(LabError, match="never came"):
        waiting.wait(lambda: next(looks) >= 100, 10, "never came")


def test_nobody_else_looks_for_what_gave_up_until_it_is_started(
    made: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that wait for one server would start its helpers twice: the second one's look must come after the start."""
    held = []

    def others_may_look() -> bool:
        free = made._guard.acquire(blocking=False)
        if free:
            made._guard.release()
        return free

    def look(name: str) -> set[str]:
        with ThreadPoolExecutor(1) as other:
            held.append(not other.submit(others_may_look).result())
        return set(CORE_PROGRAMS)

    monkeypatch.setattr(made, "_running", look)
    monkeypatch.setattr(made, "_kwokctl", lambda *_: (0, ""))
    made.mend(HOST)
    assert held == [True]


def test_a_port_of_a_server_that_lost_its_etcd_is_the_labs_own(made: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    running(monkeypatch, made, {"kube-apiserver"})
    monkeypatch.setattr(clusters, "is_free", lambda port: False)
    port = made._read().clusters[HOST].ports["kubeApiserver"]
    made.refuse_taken({"ml": port})


def test_a_teams_port_that_another_lab_holds_is_said_with_the_key_to_change(made: Clusters) -> None:
    port = next(free_ports())
    with (
        socket.create_server((LOOPBACK, port)),
        pytest.raises(LabError, match=rf"port {port}, which team ml's .* set teams\.ml\.access\.port to another"),
    ):
        made.refuse_taken({"ml": port})


def test_a_remembered_port_that_another_took_is_replaced_and_the_others_stay(made: Clusters) -> None:
    lab = made._read()
    record = lab.clusters[HOST]
    with socket.create_server((LOOPBACK, record.ports["etcd"])):
        ports = made._ports(HOST, lab, record, asked=None)
        assert is_free(ports["etcd"])
    assert {name for name in LISTENERS if ports[name] != record.ports[name]} == {"etcd"}


def test_another_test_run_gets_other_ports() -> None:
    code = "from tests.lab.conftest import own_ports; print(own_ports().start)"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(other.stdout) not in own_ports()


def test_a_labs_own_choice_is_never_a_port_that_a_stack_file_may_promise() -> None:
    assert clusters.PORTS.stop <= 30000, "NodePorts begin there"


# --- a server that is there, and busy -------------------------------------------------------------------------------


class Busy:
    """An API server that answers so many requests with a status code, or with silence, before it answers well."""

    def __init__(self, code: int, times: int) -> None:
        self.code, self.left, self.asked = code, times, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.left -= 1
                mark = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"lab": "mine"}}
                space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": UID}}
                good = mark if "configmaps" in self.path else space
                bad = {"apiVersion": "v1", "kind": "Status", "code": outer.code, "message": "busy", "status": "Failure"}
                body = json.dumps(bad if outer.left >= 0 else good).encode()
                self.send_response(outer.code if outer.left >= 0 else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)

    def connect(self) -> Client:
        here = Cluster(server=f"http://{LOOPBACK}:{self.server.server_port}")
        return Client(config=KubeConfig.from_one(cluster=here, user=User()), trust_env=False)


@pytest.fixture
def busy() -> Iterator[Callable[[int, int], Busy]]:
    with ExitStack() as servers:

        def make(code: int, times: int) -> Busy:
            one = Busy(code, times)
            servers.enter_context(serving(one.server))
            return one

        yield make


@pytest.mark.parametrize("code", sorted(marker.BUSY_CODES))
def test_a_server_that_is_too_busy_to_answer_is_asked_again(
    busy: Callable[[int, int], Busy], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(marker, "BUSY_SECONDS", 0)
    assert marker.identity(busy(code, marker.PROBES - 1).connect, "mine") == UID


def test_a_server_that_never_answers_well_is_gone_after_so_many_probes(
    busy: Callable[[int, int], Busy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marker, "BUSY_SECONDS", 0)
    server = busy(503, 1000)
    assert marker.identity(server.connect, "mine") is None
    assert server.asked == marker.PROBES


def test_silence_is_asked_again(busy: Callable[[int, int], Busy]) -> None:
    server, asked = busy(503, 0), []

    def connect() -> Client:
        asked.append(1)
        if len(asked) == 1:
            raise httpx2.ReadTimeout("busy")
        return server.connect()

    assert marker.identity(connect, "mine") == UID


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_server_that_refuses_us_is_not_this_labs(busy: Callable[[int, int], Busy], code: int) -> None:
    server = busy(code, 1000)
    assert marker.identity(server.connect, "mine") is None
    assert server.asked == 1
