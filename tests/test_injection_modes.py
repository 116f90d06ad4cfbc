"""The injection modes: what each sets on device plugin and KAI, and that settings, releases and probe agree on them."""

from __future__ import annotations

import json
from typing import Any

import pytest

import releases
from releases.injection import INJECTION, chosen, kai_cdi, seen
from settings.models import Injection
from tests.components.program import alone
from tests.conftest import ROOT, Declare
from tests.settings.build import mistakes

RELEASE = "kubernetes:helm.sh/v3:Release"


def test_every_mode_that_a_stack_file_may_say_is_known_and_every_known_one_may_be_said() -> None:
    assert [mode.value for mode in Injection] == list(INJECTION)
    assert all(mode.name == name for name, mode in INJECTION.items())


def test_what_the_check_calls_them_are_words_of_its_report() -> None:
    schema = json.loads((ROOT / "probe" / "report.schema.json").read_text())
    words = set(schema["properties"]["injection"]["enum"])
    assert {mode.seen for mode in INJECTION.values()} | {m.seen_of_fractions for m in INJECTION.values()} < words


@pytest.mark.parametrize(
    ("mode", "strategy", "cdi", "whole", "share"),
    [
        ("legacy", None, False, "legacy", "legacy"),
        ("cdi", None, False, "cdi", "cdi"),
        ("jit-cdi", None, False, "cdi", "cdi"),
        ("csv", None, False, "csv", "csv"),
        ("cdi-cri", "cdi-cri", True, "cdi-cri", "cdi"),
        ("cdi-annotations", "cdi-annotations", True, "cdi-cri", "cdi"),
    ],
)
def test_each_mode_has_its_values(mode: str, strategy: str | None, cdi: bool, whole: str, share: str) -> None:
    found = chosen(mode)
    assert found is not None
    assert (found.device_list_strategy, found.driver_root) == (strategy, "/" if strategy else None)
    assert kai_cdi(mode) is cdi
    assert (seen(mode, fraction=False), seen(mode, fraction=True)) == (whole, share)
    (line,) = (line for line in releases.markdown().splitlines() if line.startswith(f"| `{mode}` |"))
    plugin = f"`deviceListStrategy: {strategy}`, `nvidiaDriverRoot: /`" if strategy else "the chart's own"
    assert f"| {plugin} | {str(cdi).lower()} |" in line


def test_without_a_mode_nothing_is_said() -> None:
    assert (chosen(None), kai_cdi(None), seen(None, fraction=False)) == (None, None, None)


def with_gpu(**gpu: Any) -> dict[str, Any]:
    """The lab's platform on real GPUs, with host.provider of a cluster that is there."""
    data = alone("lab", "ml")
    data["gpu"] = {"stack": "devicePlugin", **gpu}
    return data


def values(declare: Declare, name: str, **gpu: Any) -> dict[str, Any]:
    found: dict[str, Any] = declare({**with_gpu(**gpu), "teams": {}}).one(RELEASE, name).inputs["values"]
    return found


def test_the_device_plugin_names_gpus_by_cdi_only_where_the_stack_file_says_so(declare: Declare) -> None:
    by_cdi = values(declare, "nvidia-device-plugin", injection="cdi-cri")
    assert (by_cdi["deviceListStrategy"], by_cdi["nvidiaDriverRoot"]) == ("cdi-cri", "/")
    for gpu in ({}, {"injection": "legacy"}):
        usual = values(declare, "nvidia-device-plugin", **gpu)
        assert not {"deviceListStrategy", "nvidiaDriverRoot"} & set(usual)


def test_kai_names_a_fractions_gpu_as_the_device_plugin_does(declare: Declare) -> None:
    team = with_gpu()["teams"]["ml"]["scheduler"]["version"]
    assert releases.KAI[team].cdi_key is None, "0.9.3 has no key: the next lines are about one that has"
    for injection, cdi in ((None, None), ("legacy", False), ("cdi-annotations", True)):
        data = with_gpu(**({"injection": injection} if injection else {}))
        data["teams"]["ml"]["scheduler"]["version"] = "v0.9.8"
        found = declare(data).one(RELEASE, "ml-scheduler-release").inputs["values"]
        assert found.get("binder", {}).get("cdi") is cdi


def test_a_mode_of_fake_gpus_is_refused() -> None:
    assert mistakes({"gpu.stack": "fake", "gpu.injection": "cdi"}) == [
        "gpu.injection: has no meaning with stack fake, got cdi; remove it"
    ]
    (mistake,) = mistakes({"gpu.injection": "hook"})
    assert "legacy, cdi, jit-cdi, csv, cdi-cri, cdi-annotations" in mistake
