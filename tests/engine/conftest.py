"""The real engine on a real cluster, where there is one.

Needs `pulumi` with the kubernetes plugin, and GPU_TENANCY_ENGINE_STACK: the path of a stack file that is valid for a
cluster which the tests may fill and empty. It must have at least two teams in mode `virtual`, and say where charts and
the check's image come from. The tests work on a copy, with a state of their own.
GPU_TENANCY_ENGINE_SECONDS bounds one run of the engine (1500 unless told): what outlasts it is ended and failed.
GPU_TENANCY_ENGINE_EVENTS names a folder for the events of each `up` (the engine wants PULUMI_DEBUG_COMMANDS=true, too).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stack import parallel
from tests.conftest import ROOT

STACK_FILE = os.environ.get("GPU_TENANCY_ENGINE_STACK")
STACK = "engine"
EVENTS = os.environ.get("GPU_TENANCY_ENGINE_EVENTS")
UP_SECONDS = int(os.environ.get("GPU_TENANCY_ENGINE_SECONDS", "1500"))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table about real GPUs."""

    what: str
    verdict: str
    how: str
    seconds: float
    sentence: str = ""

    def __str__(self) -> str:
        return f"{self.what:<28}  {self.verdict:<14}  {self.how:<8}  {self.seconds:>7} s  {self.sentence}".rstrip()


ROWS: list[Row] = []
"""What `test_gpus` tried, in its order."""


def told(row: Row) -> None:
    """Keep a row for the table, and print it: with `pytest -s` it is there even when the run does not end."""
    ROWS.append(row)
    print(f"\n{time.strftime('%H:%M:%S')} {row}", flush=True)


def since(began: float) -> float:
    """Seconds since a monotonic time, for the table."""
    return round(time.monotonic() - began, 1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    if ROWS:
        terminalreporter.section("real GPUs")
        for row in ROWS:
            terminalreporter.write_line(str(row))


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A copy of the project with a stack and a state of its own."""

    folder: Path
    platform: dict[str, Any]
    environment: Mapping[str, str]

    def write(self, platform: Mapping[str, Any]) -> None:
        """Make this the stack file."""
        text = yaml.safe_dump({"config": {"gpu-tenancy:platform": dict(platform)}})
        kept = (self.folder / f"Pulumi.{STACK}.yaml").read_text() if self._has_file() else ""
        salt = yaml.safe_load(kept).get("encryptionsalt") if kept else None
        if salt:
            text = f"encryptionsalt: {salt}\n{text}"
        (self.folder / f"Pulumi.{STACK}.yaml").write_text(text)

    def _has_file(self) -> bool:
        return (self.folder / f"Pulumi.{STACK}.yaml").exists()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the engine in a process group of its own."""
        return subprocess.Popen(
            ["pulumi", *words, "--stack", STACK, "--non-interactive"],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, ok: bool = True) -> str:
        """Run the engine to its end; its whole text."""
        process = self.start(*words)
        try:
            text, _ = process.communicate(timeout=UP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, _ = process.communicate()
            self.run("cancel", "--yes")
            # or the next test is refused for what this one left
            self.run("refresh", "--clear-pending-creates", "--yes")
            pytest.fail(f"pulumi {' '.join(words)}: not done after {UP_SECONDS} s\n{text[-6000:]}")
        finally:
            # an interrupted test must not leave an engine at work that holds the stack
            kill(process)
        assert (process.returncode == 0) is ok, f"pulumi {' '.join(words)}: exit {process.returncode}\n{text[-6000:]}"
        return text

    def up(self, *, ok: bool = True) -> str:
        """`up`, as the commands do it."""
        words = ["up", "--yes", "--continue-on-error", "--skip-preview", "--suppress-outputs"]
        if EVENTS is not None:
            words += ["--event-log", f"{EVENTS}/{time.time():.0f}.json"]
        return self.run(*words, ok=ok)

    def steps(self) -> dict[str, str]:
        """What a preview would change: operation by logical name; nothing for what stays the same."""
        process = subprocess.run(
            ["pulumi", "preview", "--json", "--stack", STACK, "--non-interactive"],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=UP_SECONDS,
            check=False,
        )
        assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
        found = json.loads(process.stdout)["steps"]
        return {
            step["urn"].rpartition("::")[2]: step["op"]
            for step in found
            if step["op"] not in ("same", "read", "refresh")
        }

    def outputs(self, *, secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs."""
        text = subprocess.run(
            ["pulumi", "stack", "output", "--json", "--stack", STACK, *(["--show-secrets"] if secrets else [])],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found: dict[str, Any] = json.loads(text)
        return found

    def exported(self) -> str:
        """The state as it is stored."""
        return self.run("stack", "export")

    def kubectl(self, *words: str, kubeconfig: str | None = None, check: bool = True) -> str:
        """Ask the host cluster, or a team's."""
        host = self.platform["host"]
        place = ["--kubeconfig", kubeconfig or host["kubeconfig"]]
        context = [] if kubeconfig else ["--context", host["context"]]
        return subprocess.run(
            ["kubectl", *place, *context, *words], capture_output=True, text=True, check=check, timeout=120
        ).stdout


def kill(process: subprocess.Popen[str]) -> None:
    """End the engine and its plugins, unless it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def fresh(folder: Path) -> Engine:
    """A copy of the project with an empty stack, for the cluster of GPU_TENANCY_ENGINE_STACK."""
    assert STACK_FILE is not None
    project = folder / "project"
    ignore = shutil.ignore_patterns(
        ".git", ".venv", ".lab", ".pulumi", ".*_cache", "tests", "docs", "__pycache__", "Pulumi.*.yaml"
    )
    shutil.copytree(ROOT, project, ignore=ignore)
    # program and policy pack both look for their packages here
    (project / ".venv").symlink_to(sys.prefix)
    # local charts and images of a test cluster break prod's rules, which a stack without rules of its own gets
    levels = project / "policies" / "config"
    shutil.copy(levels / "dev.json", levels / f"{STACK}.json")
    (folder / "state").mkdir()
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{folder}/state",
        "PULUMI_CONFIG_PASSPHRASE": "only-for-this-test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_PARALLEL": str(parallel()),
    }
    platform = yaml.safe_load(Path(STACK_FILE).read_text())["config"]["gpu-tenancy:platform"]
    found = Engine(folder=project, platform=platform, environment=environment)
    found.run("stack", "init")
    found.write(found.platform)
    return found


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A fresh stack; taken down at the end, whatever happened.

    pytest keeps the folders of its last three runs and drops older ones while they are used: a state that is lost
    leaves its objects on the cluster, so this one lies elsewhere, and goes only when they are gone.
    """
    missing = [tool for tool in ("pulumi", "kubectl") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} on PATH: the real engine was not tried")
    if STACK_FILE is None:
        pytest.skip("GPU_TENANCY_ENGINE_STACK names no stack file of a cluster to try the engine on")
    folder = Path(tempfile.mkdtemp(prefix="gpu-tenancy-engine-"))
    found = fresh(folder)
    try:
        yield found
    finally:
        take_down(found)
        shutil.rmtree(folder)


def overriding(teams: Iterable[str], *allowed: str) -> list[dict[str, Any]]:
    """Overrides for these teams: what the tests take away is their own."""
    until = str(date.today() + timedelta(days=1))
    return [{"team": team, "allow": [*allowed], "until": until, "reason": "a stack of tests"} for team in teams]


def take_down(engine: Engine) -> None:
    """Remove everything as `make down` does: it clears the lock and the half-made objects of a killed run, too."""
    engine.write({**engine.platform, "overrides": overriding(engine.platform["teams"], "delete")})
    command = [sys.executable, "-m", "cli", "--stack", STACK, "down"]
    done = subprocess.run(command, cwd=engine.folder, env=dict(engine.environment), capture_output=True, text=True)
    assert done.returncode == 0, f"{engine.folder} is kept, its stack is not empty:\n{done.stderr[-6000:]}"


def everything_unprotected(engine: Engine) -> None:
    """Lift every protection: this stack is the tests' own."""
    engine.run("state", "unprotect", "--all", "--yes")
