"""`make dashboard`: the page of a stack from its clusters, served or as one file; what it can't do is one error."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from typing import Any
from unittest.mock import Mock

import httpx2
import pytest

import cli.dashboard
from page.server import Server
from tests.cli.conftest import Project
from tests.cli.fake_api import named, node

SECRET = "c3VwZXJzZWNyZXQ="


def data(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    return dict(json.loads(found[1]))


@pytest.fixture(autouse=True)
def cluster(project: Project) -> None:
    """A host with a fenced node, a team's namespace, a Secret that nobody may read, and a team whose API is dead."""
    fence = {"labels": {"gpu-tenancy/fenced": "true"}, "annotations": {"gpu-tenancy/fenced-for": "Xid 79"}}
    project.api.objects["/api/v1/nodes"] = [node("gpu-0", gpus=4, metadata=fence)]
    space = {"labels": {"gpu-tenancy/team": "ml", "app.kubernetes.io/managed-by": "gpu-tenancy"}}
    project.api.objects["/api/v1/namespaces"] = [named("Namespace", "v1", "team-ml", metadata=space)]
    project.api.objects["/api/v1/secrets"] = [named("Secret", "v1", "vc-ml", data={"token": SECRET})]
    project.outputs({})


def test_it_writes_one_file_of_what_the_clusters_say(project: Project) -> None:
    assert project.run("dashboard", "--static", "out.html") == 0
    text = (project.root / "out.html").read_text()
    found = data(text)
    assert found["stack"] == "one"
    assert [team["name"] for team in found["teams"]] == ["ml"]
    assert found["pools"][0]["nodes"][0]["said"] == ["fenced: Xid 79"]
    assert len(found["pools"][0]["nodes"][0]["units"]) == 4
    assert [(one["about"], one["text"]) for one in found["faults"]][:1] == [("node gpu-0", "is fenced: Xid 79")]
    assert SECRET not in text


def test_a_page_that_can_t_be_written_whole_leaves_the_one_before(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.root / "out.html").write_text("before")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", Mock(side_effect=OSError(28, "No space left on device")))
        assert project.run("dashboard", "--static", "out.html") == 1
    assert (project.root / "out.html").read_text() == "before"
    assert sorted(project.root.glob("*out.html*")) == [project.root / "out.html"]


def test_it_reads_no_secret_and_changes_nothing(project: Project) -> None:
    project.run("dashboard", "--static", "out.html")
    assert {method for method, _ in project.api.seen} == {"GET"}
    asked = [path for _, path in project.api.seen if "secrets" in path]
    # how a team's API is reached stands in one Secret of its namespace; no list of them is ever asked for
    assert set(asked) <= {"/api/v1/namespaces/team-ml/secrets/vc-ml"}


def test_a_dead_host_is_a_page_that_says_so(project: Project) -> None:
    project.api.refused["/version"] = 503
    project.api.refused["/api/v1/namespaces/kube-system"] = 503
    assert project.run("dashboard", "--static", "out.html") == 0
    found = data((project.root / "out.html").read_text())
    assert any(one["about"].startswith("host") for one in found["faults"])


def test_a_place_that_cannot_be_written_is_an_error(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert project.run("dashboard", "--static", "no-such-folder/out.html") == 1
    assert "no-such-folder/out.html can't be written: No such file or directory" in capsys.readouterr().err


def test_a_taken_port_is_one_clear_error(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert project.run("dashboard", "--port", str(port)) == 2
    assert capsys.readouterr().err.splitlines()[-2:] == [
        f"error: port {port} of 127.0.0.1 is taken: another dashboard?",
        "  fix: `make dashboard STACK=one PORT=0` takes a free one",
    ]


@pytest.mark.parametrize("port", ["65536", "-1"])
def test_a_number_that_is_no_port_is_an_error(project: Project, capsys: pytest.CaptureFixture[str], port: str) -> None:
    assert project.run("dashboard", f"--port={port}") == 2
    assert f"{port} is no port." in capsys.readouterr().err


def test_it_serves_until_it_is_interrupted(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[bytes] = []

    class Once(Server):
        """Asks itself once and is then interrupted, as by Ctrl-C."""

        def serve_forever(self, poll_interval: float = 0.5) -> None:
            asking = threading.Thread(
                target=lambda: seen.append(httpx2.get(self.url, trust_env=False).content), daemon=True
            )
            asking.start()
            self.handle_request()
            asking.join()
            raise KeyboardInterrupt

    monkeypatch.setattr(cli.dashboard, "Server", Once)
    assert project.run("dashboard", "--port", "0") == 0
    assert b"GPU tenancy" in seen[0]
    err = capsys.readouterr().err
    assert "this machine alone, read-only; Ctrl-C ends it" in err
    assert err.endswith("the dashboard has ended\n")
