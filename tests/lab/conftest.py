"""What the lab's tests run on: labs in folders of their own, with ports of their own, away from the user's."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import pytest
import yaml

from lab import binaries
from lab.clusters import Cluster
from lab.driver import LabDriver
from lab.errors import LabError
from lab.objects import Json, Objects
from lab.processes import LOOPBACK, commands, is_free
from lab.show import Show
from settings.load import PLATFORM_KEY
from tests.conftest import HANGS_SECONDS, shipped

BLOCK = 100
"""Ports: a module has some ten labs with up to four teams each."""
_HELD: list[TextIO] = []
ROOT = Path(__file__).resolve().parents[2]
# a host with one GPU node and no team: enough for programs that bring their own objects
SMALL: Json = {
    "host": {"provider": "lab"},
    "gpu": {"stack": "fake"},
    "pools": {"a100": {"nodes": ["gpu-0"], "gpusPerNode": 4, "gpuMemoryMib": 40960}},
}


class Lab:
    """A lab of one test or module: a folder with a program and a stack file, and the driver on them."""

    def __init__(self, root: Path, program: str, platform: Mapping[str, Any], **options: Any) -> None:
        self.root, self.stack_file = root, root / "Pulumi.lab.yaml"
        root.mkdir(parents=True, exist_ok=True)
        self.program(program)
        self.platform(platform)
        self.driver = LabDriver("lab", self.stack_file, root, **options)

    def program(self, text: str) -> None:
        (self.root / "__main__.py").write_text(text)

    def platform(self, platform: Mapping[str, Any]) -> None:
        self.stack_file.write_text(yaml.safe_dump({"config": {PLATFORM_KEY: dict(platform)}}))

    def again(self) -> LabDriver:
        """A driver that knows nothing but what is on disk, as the next command's would."""
        self.driver = LabDriver("lab", self.stack_file, self.root)
        return self.driver

    def servers(self) -> dict[str, Cluster]:
        """What runs, by lab name: `host`, and one for each virtual cluster."""
        clusters = self.driver.clusters
        return {name: found for name in clusters.names() if (found := clusters.find(name))}

    def objects(self, server: str = "host") -> Objects:
        assert self.driver.clusters.find(server), f"no API server `{server}`"
        return Objects(server, self.driver.clusters.client(server))

    def processes(self) -> list[str]:
        lines = [" ".join(words) for _, words in commands()]
        return [line for line in lines if str(self.root / ".lab") in line]

    def left(self) -> list[str]:
        """What stays: a question that a killed run's helper had asked a server ends when that server is gone."""
        deadline = time.monotonic() + HANGS_SECONDS
        while (found := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found


def uncaptured(request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    """What is printed inside reaches the person who runs the tests."""
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    found: AbstractContextManager[None] = capture.global_and_fixture_disabled()
    return found


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest) -> binaries.Binaries:
    """The lab's programs. Building them takes minutes once, so the progress goes past pytest's capture."""
    try:
        with uncaptured(request):
            return binaries.ensure(Show())
    except LabError as error:
        pytest.skip(f"the lab cannot run on this machine: {error}")


@pytest.fixture(scope="module")
def labs(programs: binaries.Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """Makes labs, and throws each away at the end, whatever became of it."""
    made: list[Lab] = []

    def make(program: str, platform: Mapping[str, Any] = SMALL, **options: Any) -> Lab:
        lab = Lab(tmp_path_factory.mktemp("lab"), program, platform, **options)
        made.append(lab)
        return lab

    yield make
    for lab in made:
        lab.driver.clusters.stop_all()
        shutil.rmtree(lab.root, ignore_errors=True)


def example(**teams: Mapping[str, Any]) -> Json:
    """The lab's own stack file, with NodePorts that are free here and now: the user's lab may hold the usual ones."""
    loaded = yaml.safe_load(shipped("lab").read_text())
    platform: Json = loaded["config"][PLATFORM_KEY]
    platform["teams"].update(teams)
    ports = free_ports()
    for team in platform["teams"].values():
        team.setdefault("access", {})["port"] = next(ports)
    return platform


@cache
def own_ports() -> range:
    """A block of the NodePorts' range that is this process's alone until it ends, among all test runs of this user.

    Chosen ports are taken some time later: two runs that only look which are free now would meet.
    """
    folder = Path(tempfile.gettempdir()) / f"gpu-tenancy-test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for start in range(30000, 32768 - BLOCK, BLOCK):
        file = (folder / str(start)).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        _HELD.append(file)  # closed, and so given back, when the process ends
        return range(start, start + BLOCK)
    pytest.fail(f"all blocks of ports are taken: see {folder}")


def free_ports() -> Iterator[int]:
    """Free ports of this process's own, in no order."""
    return (port for port in random.sample(own_ports(), BLOCK) if is_free(port))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
