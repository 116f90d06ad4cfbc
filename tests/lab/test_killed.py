"""Runs of the lab that are killed: the next command works, whatever was half done."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from lab.clusters import HOST
from tests.lab.conftest import Lab, free_ports
from tests.lab.moments import begin, when, with_a_team

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    "moment",
    [
        "the host's server starts",
        "objects are applied",
        "the team's server starts",
        "the team's release is applied",
    ],
)
def test_after_a_killed_up_the_next_one_works_and_down_leaves_nothing(labs: Callable[..., Lab], moment: str) -> None:
    lab = labs(with_a_team(next(free_ports())))
    run = begin(lab)
    when(lab, moment)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    again = lab.again().up()
    assert again.failures == ()
    assert sorted(lab.servers()) == [HOST, "space-ml"]
    assert lab.again().up().changes == 0
    lab.again().down()
    assert lab.left() == []
    assert not (lab.root / ".lab").exists()


@pytest.mark.parametrize(
    ("moment", "command"), [("the host's server starts", "reset"), ("the team's server starts", "down")]
)
def test_after_a_killed_up_down_or_reset_leaves_nothing(labs: Callable[..., Lab], moment: str, command: str) -> None:
    lab = labs(with_a_team(next(free_ports())))
    run = begin(lab)
    when(lab, moment)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    getattr(lab.again(), command)()
    assert lab.left() == []
    assert not (lab.root / ".lab").exists()
