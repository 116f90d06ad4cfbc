"""How a stack's clusters are reached by its outputs."""

from __future__ import annotations

import pytest

from cli.cluster import target_of
from cli.reach import reach_of
from settings.load import parse_platform
from tests.cli.fake_api import kubeconfig
from tests.settings.build import raw

PLATFORM = parse_platform(raw(), "unit")


def test_a_host_that_the_program_made_is_reached_by_the_stacks_own_output() -> None:
    made = reach_of({"hostKubeconfig": kubeconfig("https://10.0.0.5:6443")}, PLATFORM, None).host
    assert made is not None
    assert made.cluster.server == "https://10.0.0.5:6443"


@pytest.mark.parametrize("output", [{}, {"hostKubeconfig": "[secret]"}, {"hostKubeconfig": None}])
def test_without_a_readable_kubeconfig_no_host_is_reached(output: dict[str, object]) -> None:
    assert reach_of(output, PLATFORM, None).host is None


def test_a_host_that_was_there_is_reached_as_the_stack_file_says() -> None:
    there = target_of(kubeconfig("https://10.0.0.6:6443"), "unit")
    found = reach_of({"hostKubeconfig": kubeconfig("https://10.0.0.5:6443")}, PLATFORM, there).host
    assert found == there.config
