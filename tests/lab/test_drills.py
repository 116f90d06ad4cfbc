"""The drills, as far as the lab can show them: what is planted in one team's API is named, and another goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import drills
from tests.lab.conftest import ROOT, Lab, example

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab(labs: Callable[..., Lab]) -> Lab:
    found = labs((ROOT / "__main__.py").read_text(), example())
    assert found.driver.up().ok
    return found


@pytest.mark.parametrize("name", [fault.name for fault in drills.FAULTS if fault.undo is not None])
def test_a_fault_in_one_team_is_named_while_another_is_updated_and_it_ends(
    lab: Lab, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lab.stack_file.read_bytes()
    assert drills.run("lab", name, lab.root) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith(f"| {name} | named after ")
    assert "| admitted |" in row
    assert lab.stack_file.read_bytes() == before, "the file is put back"


def test_what_needs_a_running_scheduler_is_not_pretended(lab: Lab) -> None:
    with pytest.raises(SystemExit, match="no drill 'scheduler-bug' here"):
        drills.run("lab", "scheduler-bug", lab.root)
