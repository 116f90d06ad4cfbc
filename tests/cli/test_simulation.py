"""What the lab recorded, as the policy rules judge it."""

from __future__ import annotations

import pytest

from cli.simulation import resources_of
from lab.engine import Recorded
from policies.plain import UNKNOWN


def recorded(op: str = "create", **inputs: object) -> Recorded:
    team = "gpu-tenancy:index:Team"
    return Recorded(op=op, type=team, name="ml", urn="urn:ml", parent="urn:stack", inputs=inputs)


def test_what_the_lab_recorded_is_judged_by_its_inputs() -> None:
    found = resources_of([recorded(gpuLimit="[unknown]", name="ml")])
    assert [(r.type, r.name, r.urn, r.parent) for r in found] == [
        ("gpu-tenancy:index:Team", "ml", "urn:ml", "urn:stack")
    ]
    assert found[0].properties == {"gpuLimit": UNKNOWN, "name": "ml"}


@pytest.mark.parametrize(("op", "judged"), [("create", 1), ("update", 1), ("same", 1), ("delete", 0), ("read", 0)])
def test_what_goes_or_is_only_read_is_not_judged(op: str, judged: int) -> None:
    assert len(resources_of([recorded(op)])) == judged
