"""Which files are mutated: every one of the rooms where a fault would let a team into another's."""

from __future__ import annotations

from tests.conftest import ROOT
from tests.mutants.changes import mutants
from tests.mutants.files import TESTS
from tests.test_dependencies import own_files

MUTATED = ("components/", "kube/", "capacity/", "policies/")


def test_every_module_in_which_something_can_be_broken_names_the_tests_that_notice() -> None:
    # an entry point runs as soon as it is imported
    modules = [file for file in own_files() if file.startswith(MUTATED) and not file.endswith("/__main__.py")]
    assert "components/team/tenant.py" in modules
    assert [file for file in modules if file not in TESTS and mutants(file)] == []


def test_every_test_that_is_named_is_there() -> None:
    assert {test for tests in TESTS.values() for test in tests if not (ROOT / test).is_file()} == set()
