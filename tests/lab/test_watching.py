"""Fence, page and usage on real API servers: what they write is taken, and what they read is there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.app import main
from lab.objects import Reference
from tests.conftest import ROOT
from tests.lab.conftest import Lab

pytestmark = pytest.mark.lab

NODE = Reference(api_version="v1", kind="Node", namespace="", name="gpu-0")


@pytest.fixture(scope="module")
def lab(labs: Callable[..., Lab]) -> Lab:
    found = labs((ROOT / "__main__.py").read_text())
    found.driver.up()
    return found


def run(lab: Lab, *arguments: str) -> int:
    return main(["--stack", "lab", *arguments], root=lab.root)


def test_a_fence_outlives_up_and_is_seen_on_the_page_until_it_is_lifted(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lab.objects().get(NODE) or {}
    assert run(lab, "fence", "--node", "gpu-0", "--reason", "Xid 79") == 0
    assert "every team's quota fits" in capsys.readouterr().out
    lab.again().up()
    node = lab.objects().get(NODE) or {}
    assert node["spec"]["unschedulable"] is True
    assert run(lab, "dashboard", "--static", "out.html") == 0
    text = Path(lab.root / "out.html").read_text()
    data = json.loads(re.findall(r'id="data">(.*?)</script>', text)[0])
    assert data["faults"][0]["text"] == "is fenced: Xid 79"
    assert len(data["pools"][0]["nodes"][0]["units"]) == 4
    assert run(lab, "unfence", "--node", "gpu-0") == 0
    after = lab.objects().get(NODE) or {}
    assert "unschedulable" not in after["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


def test_usage_is_told_where_nothing_was_used(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lab, "usage", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == []
    assert found["gaps"][0].startswith("used and idle are not known")
