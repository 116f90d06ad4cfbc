"""The hosts' scripts against stand-ins of docker, kind, snap, microk8s and k3s, which record calls and keep state.

What is shown: success, one clear refusal for each thing that can be wrong, before anything is changed; a second run;
a run that was killed in any of its calls and then run again; removal of what is ours, and of nothing else. One file for
each provider; here is what they share.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from components.command import COMMON, Script
from settings.hosts import INSTALLS
from tests.hosts.machine import GPU_KIND, KILLED, Host, install, k3s_files, machine, of, remove, with_docker, with_gpus

pytestmark = pytest.mark.slow

SOME = 5
"""Without the fuzz tier a kill is tried in each fifth call, from the first: each step of a script makes several."""


def _kind(host: Host) -> Script:
    with_docker(host)
    return with_gpus("kind", {**GPU_KIND, "images": ["docker.io/library/busybox:1.37"]})


SCENARIOS: Mapping[str, Callable[[Host], Script]] = {
    "kind": _kind,
    "microk8s": lambda _: of("microk8s", {"user": "op"}),
    "k3s": lambda host: of("k3s", k3s_files(host)),
}
"""What each provider is asked to make."""


def scenario(provider: str, folder: Path) -> tuple[Host, Script]:
    """A host, and the script that makes this provider's cluster on it."""
    host = machine(folder)
    return host, SCENARIOS[provider](host)


def killed_and_run_again(provider: str, folder: Path, step: int) -> None:
    """Kill the script in each `step`th call, then run it again, then remove what it made."""
    whole, found = scenario(provider, folder / "0")
    before = whole.files()
    assert whole.run(install(found))[0] == 0
    calls, after = len(whole.calls()), whole.files()
    kept = sorted(path.name for path in (whole.home / "state").iterdir())
    for number in range(1, calls + 1, step):
        host, _ = scenario(provider, folder / str(number))
        code, _ = host.run(install(found), STUB_KILL_AT=str(number))
        assert code == KILLED, f"call {number} of {calls} was not reached"
        code, said = host.run(install(found))
        assert code == 0, f"after a kill in call {number}: {said}"
        assert host.files() == after, f"after a kill in call {number}"
        assert sorted(path.name for path in (host.home / "state").iterdir()) == kept, f"after a kill in call {number}"
        assert host.run(remove(found))[0] == 0
        assert host.files() == before, f"removal after a kill in call {number}"


def killed_and_removed(provider: str, folder: Path, step: int) -> None:
    """Kill the script in each `step`th call, then remove what there is."""
    for number in range(1, 60, step):
        host, found = scenario(provider, folder / str(number))
        before = host.files()
        code, _ = host.run(install(found), STUB_KILL_AT=str(number))
        removed_whole(host, found, before, number)
        if code == 0:
            return
    pytest.fail("the script makes more calls than were tried")


def removed_whole(host: Host, found: Script, before: object, number: int) -> None:
    """A removal after a kill in that call leaves the host as it was before the installation."""
    code, said = host.run(remove(found))
    assert code == 0, said
    assert host.files() == before, f"after a kill in call {number}"
    assert not host.has("cluster")
    assert not host.has("snap")
    assert not host.has("k3s")


@pytest.mark.parametrize("provider", INSTALLS)
def test_killed_in_some_calls_and_run_again_it_is_as_if_nothing_had_happened(provider: str, tmp_path: Path) -> None:
    killed_and_run_again(provider, tmp_path, SOME)


@pytest.mark.fuzz
@pytest.mark.parametrize("provider", INSTALLS)
def test_killed_in_any_call_and_run_again_it_is_as_if_nothing_had_happened(provider: str, tmp_path: Path) -> None:
    killed_and_run_again(provider, tmp_path, 1)


@pytest.mark.parametrize("provider", INSTALLS)
def test_removal_after_a_kill_leaves_nothing_of_ours(provider: str, tmp_path: Path) -> None:
    killed_and_removed(provider, tmp_path, SOME)


@pytest.mark.fuzz
@pytest.mark.parametrize("provider", INSTALLS)
def test_removal_after_a_kill_in_any_call_leaves_nothing_of_ours(provider: str, tmp_path: Path) -> None:
    killed_and_removed(provider, tmp_path, 1)


@pytest.mark.parametrize("provider", INSTALLS)
def test_a_removal_that_was_killed_in_any_call_is_done_by_the_next(provider: str, tmp_path: Path) -> None:
    for number in range(1, 30):
        host, found = scenario(provider, tmp_path / str(number))
        before = host.files()
        assert host.run(install(found))[0] == 0
        code, _ = host.run(remove(found), STUB_KILL_AT=str(number))
        removed_whole(host, found, before, number)
        if code == 0:
            return
    pytest.fail("the script makes more calls than were tried")


@pytest.mark.parametrize("script", sorted(COMMON.parents[1].rglob("*.sh")), ids=lambda path: path.stem)
def test_what_a_script_says_to_do_is_said_whole(script: Path) -> None:
    """The last semicolon parts what is wrong from what to do (`cli/causes/hosts.py`)."""
    lines = [line for line in script.read_text().splitlines() if 'refuse "' in line]
    for said in (line.partition('refuse "')[2].rpartition('"')[0] for line in lines):
        todo = said.rpartition("; ")[2]
        assert todo.count("(") == todo.count(")"), said


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck: the scripts are not linted")
@pytest.mark.parametrize("provider", INSTALLS)
@pytest.mark.parametrize("part", ["install", "remove"])
def test_the_scripts_pass_shellcheck(provider: str, part: str, tmp_path: Path) -> None:
    path = tmp_path / f"{part}.sh"
    path.write_text(getattr(of(provider), part))
    done = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


FIRST = """\
#!/bin/sh
# the lock is had once the removal that held it is done, which takes the folder away
[ -e {told} ] || rm -rf {state}
touch {told}
"""


def while_another_removal_ends(host: Host, provider: str) -> None:
    """Whoever waits for the lock next gets it from a removal that was cut off from its caller and went on."""
    waits = host.home / "bin" / "flock"
    waits.write_text(FIRST.format(told=host.home / "waited", state=host.root / "var/lib/gpu-tenancy" / provider))
    waits.chmod(0o755)


@pytest.mark.parametrize("provider", INSTALLS)
def test_a_removal_that_waited_for_the_same_one_has_nothing_left_to_do(provider: str, tmp_path: Path) -> None:
    host, found = scenario(provider, tmp_path)
    assert host.run(install(found))[0] == 0
    while_another_removal_ends(host, provider)
    assert host.run(remove(found)) == (0, f"{provider}: nothing of ours on this host\n")
    assert not (host.root / "var/lib/gpu-tenancy").exists()


def test_an_installation_that_waited_for_a_removal_keeps_its_records(host: Host) -> None:
    found = of("microk8s")
    host.state("waiting")
    while_another_removal_ends(host, "microk8s")
    assert host.run(install(found))[0] == 0
    assert (host.root / "var/lib/gpu-tenancy/microk8s/installed").exists()
    assert host.run(remove(found))[0] == 0
    assert not host.has("snap")
