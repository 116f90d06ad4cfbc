"""Interrupted anywhere, the next `up` works, and so does a reset, whatever was damaged."""

from __future__ import annotations

import fcntl
import json
import signal
import socket
import subprocess
from collections.abc import Callable

import pytest

from lab.clusters import HOST
from lab.errors import LabError
from lab.processes import LOOPBACK
from tests.conftest import HANGS_SECONDS
from tests.lab.conftest import SMALL, Lab, free_ports
from tests.lab.moments import begin, when, with_a_team
from tests.lab.test_engine import SPACE, START

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("moment", ["the host's server starts", "the team's server starts"])
def test_ctrl_c_ends_the_run_soon_and_the_next_one_works(labs: Callable[..., Lab], moment: str) -> None:
    lab = labs(with_a_team(next(free_ports())))
    run = begin(lab)
    when(lab, moment)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=HANGS_SECONDS)
    assert run.returncode != 0
    assert "KeyboardInterrupt" in said.splitlines(), said[-2000:]
    assert lab.again().up().failures == ()
    lab.again().reset()
    assert lab.left() == []


def test_a_lock_on_the_kubeconfig_that_a_killed_run_left_stops_nobody(labs: Callable[..., Lab]) -> None:
    lab = labs(START)
    lab.driver.home.mkdir(parents=True)
    (lab.driver.home / f"kubeconfig-{HOST}.lock").touch()
    assert lab.driver.up().ok


def test_reset_works_with_damaged_records(labs: Callable[..., Lab]) -> None:
    lab = labs(START)
    assert lab.driver.up().ok
    (lab.driver.home / "lab.json").write_text("{")
    (lab.driver.home / "state.json").write_text("[]")
    with pytest.raises(LabError, match=r"lab\.json is damaged\. Fix: run `make lab-reset`"):
        lab.again().up()
    lab.again().reset()
    assert lab.left() == []
    assert not (lab.root / ".lab").exists()


def test_reset_ends_nothing_that_the_lab_did_not_start(labs: Callable[..., Lab]) -> None:
    lab = labs(START)
    assert lab.driver.up().ok
    # somebody looks at the lab's log, and runs a program whose name is like one of the lab's
    bystanders = [
        subprocess.Popen(["tail", "-f", str(lab.driver.home / "kwok/clusters/host/logs/etcd.log")]),
        subprocess.Popen(["bash", "-c", "exec -a /usr/bin/etcd sleep 60"]),
    ]
    try:
        lab.again().reset()
        assert lab.processes() == [f"tail -f {lab.driver.home}/kwok/clusters/host/logs/etcd.log"]
        assert all(process.poll() is None for process in bystanders)
    finally:
        for process in bystanders:
            process.kill()
            process.wait()


def test_a_taken_port_is_one_clear_error_and_nothing_is_begun(labs: Callable[..., Lab]) -> None:
    port = next(free_ports())
    lab = labs(with_a_team(port))
    with socket.create_server((LOOPBACK, port)):
        refused = lab.driver.up()
    assert len(refused.failures) == 1
    said = refused.failures[0]
    assert f"port {port} (kubeApiserver of the API server `space-ml`) is taken by another program" in said
    assert "give the team another `access.port`" in said
    assert not any("space-ml" in line for line in lab.processes())
    assert lab.again().up().ok


def test_a_server_that_is_not_the_recorded_one_is_refused(labs: Callable[..., Lab]) -> None:
    lab = labs(SPACE)
    assert lab.driver.up().ok
    record = lab.driver.home / "lab.json"
    data = json.loads(record.read_text())
    data["clusters"][HOST]["uid"] = "11111111-2222-3333-4444-555555555555"
    record.write_text(json.dumps(data))
    with pytest.raises(LabError, match="is not the one that this lab started"):
        lab.again().up()


def test_a_second_command_at_the_same_time_is_refused(labs: Callable[..., Lab]) -> None:
    lab = labs(START)
    lab.driver.home.mkdir(parents=True)
    with (lab.driver.home / "lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(LabError, match="another command is at work"):
            lab.driver.up()
    assert lab.left() == []


def test_down_without_a_lab_says_so_and_is_fine(labs: Callable[..., Lab], capsys: pytest.CaptureFixture[str]) -> None:
    labs(START, SMALL).driver.down()
    assert "nothing to do" in capsys.readouterr().err
