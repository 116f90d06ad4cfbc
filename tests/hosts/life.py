"""The life of a cluster that a host's scripts make, the same for every provider: made, cut off, made again, taken away.

What is shown: a run that was killed in any of its calls and then run again; a removal after that; a removal that was
killed; removal of what is ours, and of nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from components.command import Script
from tests.hosts.machine import KILLED, Host, install, machine, of, remove

SOME = 5
"""Without the fuzz tier a kill is tried in each fifth call, from the first: each step of a script makes several."""
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


def removed_whole(host: Host, found: Script, before: object, number: int) -> None:
    """A removal after a kill in that call leaves the host as it was before the installation."""
    code, said = host.run(remove(found))
    assert code == 0, said
    assert host.files() == before, f"after a kill in call {number}"
    assert host.kept() == [], f"after a kill in call {number}"


@pytest.mark.slow
class Life:
    """The tests of one provider's life: the tests of each provider have a class `TestLife` of this one."""

    provider: ClassVar[str]

    def asked(self, host: Host) -> Script:
        """The script of what the provider is asked to make on that host, which gets what that needs."""
        del host
        return of(self.provider)

    def scenario(self, folder: Path) -> tuple[Host, Script]:
        host = machine(folder)
        return host, self.asked(host)

    def killed_and_run_again(self, folder: Path, step: int) -> None:
        """Kill the script in each `step`th call, then run it again, then remove what it made."""
        whole, found = self.scenario(folder / "0")
        before = whole.files()
        code, said = whole.run(install(found))
        assert code == 0, said
        calls, after = len(whole.calls()), whole.files()
        kept = whole.kept()
        for number in range(1, calls + 1, step):
            host, _ = self.scenario(folder / str(number))
            code, _ = host.run(install(found), STUB_KILL_AT=str(number))
            assert code == KILLED, f"call {number} of {calls} was not reached"
            code, said = host.run(install(found))
            assert code == 0, f"after a kill in call {number}: {said}"
            assert host.files() == after, f"after a kill in call {number}"
            assert host.kept() == kept, f"after a kill in call {number}"
            assert host.run(remove(found))[0] == 0
            assert host.files() == before, f"removal after a kill in call {number}"

    def killed_and_removed(self, folder: Path, step: int) -> None:
        """Kill the script in each `step`th call, then remove what there is."""
        for number in range(1, 60, step):
            host, found = self.scenario(folder / str(number))
            before = host.files()
            code, _ = host.run(install(found), STUB_KILL_AT=str(number))
            removed_whole(host, found, before, number)
            if code == 0:
                return
        pytest.fail("the script makes more calls than were tried")

    def test_killed_in_some_calls_and_run_again_it_is_as_if_nothing_had_happened(self, tmp_path: Path) -> None:
        self.killed_and_run_again(tmp_path, SOME)

    @pytest.mark.fuzz
    def test_killed_in_any_call_and_run_again_it_is_as_if_nothing_had_happened(self, tmp_path: Path) -> None:
        self.killed_and_run_again(tmp_path, 1)

    def test_removal_after_a_kill_leaves_nothing_of_ours(self, tmp_path: Path) -> None:
        self.killed_and_removed(tmp_path, SOME)

    @pytest.mark.fuzz
    def test_removal_after_a_kill_in_any_call_leaves_nothing_of_ours(self, tmp_path: Path) -> None:
        self.killed_and_removed(tmp_path, 1)

    def test_a_removal_that_was_killed_in_any_call_is_done_by_the_next(self, tmp_path: Path) -> None:
        for number in range(1, 30):
            host, found = self.scenario(tmp_path / str(number))
            before = host.files()
            assert host.run(install(found))[0] == 0
            code, _ = host.run(remove(found), STUB_KILL_AT=str(number))
            removed_whole(host, found, before, number)
            if code == 0:
                return
        pytest.fail("the script makes more calls than were tried")

    def test_a_removal_that_waited_for_the_same_one_has_nothing_left_to_do(self, host: Host) -> None:
        found = self.asked(host)
        assert host.run(install(found))[0] == 0
        while_another_removal_ends(host, self.provider)
        assert host.run(remove(found)) == (0, f"{self.provider}: nothing of ours on this host\n")
        assert not (host.root / "var/lib/gpu-tenancy").exists()
