"""Which files are mutated: every one of the rooms where a fault would let a team into another's."""

from __future__ import annotations

import os

from tests.conftest import ROOT
from tests.mutants import forks
from tests.mutants.changes import mutants
from tests.mutants.files import TESTS
from tests.test_dependencies import own_files

MUTATED = (
    *("components/", "kube/", "capacity/", "policies/", "cli/guards/", "cli/preflight/", "preview/", "probe/judge/"),
    *("releases/", "settings/rules/"),
)


def test_every_module_in_which_something_can_be_broken_names_the_tests_that_notice() -> None:
    # an entry point runs as soon as it is imported
    modules = [file for file in own_files() if file.startswith(MUTATED) and not file.endswith("/__main__.py")]
    assert "components/team/tenant.py" in modules
    assert [file for file in modules if file not in TESTS and mutants(file)] == []


def test_every_test_that_is_named_is_there() -> None:
    assert {test for tests in TESTS.values() for test in tests if not (ROOT / test).is_file()} == set()


def test_a_mutant_that_collects_without_end_ends_before_the_machine_does() -> None:
    def collects() -> int:
        return 0 if bytearray(forks.MOST_BYTES) else 1  # refused at once, so no page of it is touched

    _, status = os.waitpid(forks._fork(collects), 0)
    assert os.waitstatus_to_exitcode(status) == 1, "as noticed"


def test_as_many_mutants_run_at_once_as_there_are_turns_in_whichever_process_they_are_taken() -> None:
    turns = forks.Turns(2)
    assert turns.take()
    _, status = os.waitpid(forks._fork(lambda: 0 if turns.take() else 1), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not turns.take()
    turns.give_back()
    assert turns.take()


def test_what_a_rule_of_the_policies_says_of_itself_is_changed_too() -> None:
    """When it judges, what, and by which limits: all that stands in its decorator."""
    made = {
        mutant.entry.partition("::")[2]
        for file in ("policies/rules/charts.py", "policies/rules/placement.py")
        for mutant in mutants(file)
    }
    assert made >= {
        "host_check_is_pinned#1 _rule without stage",
        "host_check_is_pinned#1 _rule without applies",
        "queue_of_own_team#1 _rule without *tokens.WORKLOADS",
        "known_values#1 _rule without limits",
        "known_values#1 'known-values' -> 'known-valuesX'",
    }
