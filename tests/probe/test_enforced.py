"""`enforce: memory`: a fifth more than the share is tried, and what came of it is a pass or a failure."""

from __future__ import annotations

from typing import Any

import pytest

from probe.expect import Expect
from probe.gather.memory import OUT_OF_MEMORY, granted_mib, over_take, whole_of
from tests.probe.world import Report, finding, report_on, severities

WHOLE = 143155
SHARE = 42946
"""0.3 of an H200, as recorded."""
TRIED = int(SHARE * 1.2)


def enforced(total: int = WHOLE, **over: Any) -> Report:
    """A share of 0.3 that should be a limit: what CUDA shows, and what trying more of it gave."""
    taken = {"shareMib": SHARE, "wholeMib": WHOLE, "triedMib": TRIED, "freeMib": 105375, "refused": True, **over}
    here = {"index": 0, "totalMib": total, "grantedMib": min(SHARE, total), "overTake": taken}
    return report_on("fraction", {"memory": {"gpus": {"0": here}}}, enforced=True, poolGpuMemoryMib=WHOLE)


def test_a_pod_that_gets_more_than_its_share_fails() -> None:
    report = enforced(refused=False)
    assert severities(report) == {"sharing.isolation": "fail"}
    assert report["verdict"] == "fail"
    text = finding(report, "sharing.isolation")["message"]
    assert f"{TRIED} MiB, of a share of {SHARE} MiB, were given" in text


def test_a_pod_that_is_refused_more_while_the_gpu_has_it_passes() -> None:
    report = enforced()
    assert severities(report) == {}
    assert finding(report, "sharing.isolation")["value"] is True
    assert finding(report, "sharing.isolation")["bound"] is True


@pytest.mark.parametrize("total", [SHARE, SHARE + WHOLE // 100])
def test_a_pod_that_is_shown_its_share_alone_and_refused_more_passes(total: int) -> None:
    report = enforced(total, freeMib=total - 500)
    assert "sharing.isolation" not in severities(report)
    assert finding(report, "sharing.isolation")["value"] is True


def test_a_refusal_that_a_full_gpu_explains_tells_nothing() -> None:
    report = enforced(freeMib=TRIED - 1)
    assert severities(report) == {"sharing.isolation": "unknown"}
    assert report["verdict"] == "could-not-tell"
    assert finding(report, "sharing.isolation")["bound"] is True
    assert severities(enforced(freeMib=TRIED)) == {}, "just enough was free"


@pytest.mark.parametrize(
    ("total", "severity"),
    [(48999, "fail"), (49000, "info"), (52000, "info"), (52001, "unknown"), (75000, "unknown")],
)
def test_the_end_of_memory_is_the_shares_within_the_tolerance_and_one_of_kais_steps(total: int, severity: str) -> None:
    """2 % below 50000 MiB; above, a hundredth of the GPU's 100000 MiB more."""
    report = enforced(total, shareMib=50000, wholeMib=100000, triedMib=60000, freeMib=48000)
    assert finding(report, "sharing.isolation")["severity"] == severity


def test_a_limit_below_the_share_fails() -> None:
    report = enforced(SHARE // 2, freeMib=SHARE // 2)
    assert severities(report)["sharing.isolation"] == "fail"
    assert "Memory ends before the share does" in finding(report, "sharing.isolation")["message"]


def test_what_was_not_tried_is_no_pass() -> None:
    report = report_on("fraction", enforced=True)
    assert severities(report) == {"sharing.isolation": "unknown"}
    assert finding(report, "sharing.isolation")["bound"] is True


@pytest.mark.parametrize(
    ("shown", "pool", "asked"),
    [(50000, 100000, 0.3), (100000, 50000, 0.3), (100000, None, 0.3), (None, 100000, 0.3), (None, None, None)],
)
def test_a_share_in_mib_is_of_the_larger_of_what_is_shown_and_the_pools_number(
    shown: int | None, pool: int | None, asked: float | None
) -> None:
    """A limit is all of the GPU that the pod is shown; without any number nothing can be said."""
    steps: Report = {
        "nvml": {"gpus": {"0": {"memoryMib": shown}}},
        "cuda": {"devices": {"0": {"memoryMib": shown}}},
    }
    report = report_on(
        "fraction", steps, mode="gpu-memory", gpuMemoryMib=30000, fraction=None, enforced=True, poolGpuMemoryMib=pool
    )
    granted = finding(report, "sharing.granted")
    assert (granted["severity"], granted["bound"]) == ("unknown" if asked is None else "info", asked)


def test_without_the_word_nothing_is_a_limit_and_nothing_fails() -> None:
    assert finding(report_on("fraction"), "sharing.isolation")["severity"] == "info"


@pytest.mark.parametrize(("shown", "severity"), [(SHARE, "info"), (SHARE // 2, "fail"), (WHOLE, "info")])
def test_the_gpus_memory_is_the_pools_or_the_pods_limit(shown: int, severity: str) -> None:
    steps: Report = {"nvml": {"gpus": {"0": {"memoryMib": shown}}}}
    report = report_on("fraction", steps, enforced=True, poolGpuMemoryMib=WHOLE)
    assert finding(report, "identity.memory")["severity"] == severity
    without = report_on("fraction", steps, poolGpuMemoryMib=WHOLE)
    assert finding(without, "identity.memory")["severity"] == ("info" if shown == WHOLE else "fail")


@pytest.mark.parametrize(
    ("asked", "shown", "mib"),
    [
        ({"mode": "fraction", "fraction": 0.3}, 1000, 300),
        ({"mode": "fraction", "fraction": 0.3}, 300, 300),
        ({"mode": "fraction", "fraction": 0.3}, 100, 100),
        ({"mode": "gpu-memory", "gpuMemoryMib": 250}, 1000, 250),
        ({"mode": "gpu-memory", "gpuMemoryMib": 250}, 260, 250),
    ],
)
def test_a_share_is_of_the_whole_gpu_and_not_of_what_a_limit_shows(asked: Report, shown: int, mib: int) -> None:
    expect = Expect.parse({**asked, "enforced": True, "poolGpuMemoryMib": 1000})
    assert whole_of(expect, shown, shown) == 1000
    assert granted_mib(expect, shown, shown, shown) == mib


class StandIn:
    """The driver's library and torch, for a GPU with so many MiB free and a limit."""

    def __init__(self, free: int, limit: int, code: int = OUT_OF_MEMORY) -> None:
        self.free, self.limit, self.code, self.cuda = free, limit, code, self
        self.held = 0

    def mem_get_info(self, _: int) -> tuple[int, int]:
        return self.free << 20, self.free << 20

    def cuMemAlloc_v2(self, _: object, size: Any) -> int:  # noqa: N802 (the driver's name)
        if size.value >> 20 > self.limit:
            return self.code
        self.held += 1
        return 0

    def cuMemFree_v2(self, _: object) -> None:  # noqa: N802
        self.held -= 1


@pytest.mark.parametrize(
    ("limit", "share", "tried", "refused"),
    [
        (300, 300, 360, True),
        (359, 300, 360, True),
        (360, 300, 360, False),
        # a small share: two of KAI's hundredths are more than a fifth of it
        (30, 30, 50, True),
        (50, 30, 50, False),
    ],
)
def test_a_fifth_more_than_the_share_is_tried_and_given_back(limit: int, share: int, tried: int, refused: bool) -> None:
    gpu: Any = StandIn(free=900, limit=limit)
    found = over_take(gpu, 0, share, 1000, cuda=gpu)
    assert found == {"shareMib": share, "wholeMib": 1000, "triedMib": tried, "freeMib": 900, "refused": refused}
    assert gpu.held == 0


def test_another_error_of_the_driver_is_no_refusal() -> None:
    gpu: Any = StandIn(free=900, limit=100, code=700)
    with pytest.raises(RuntimeError, match="CUDA error 700"):
        over_take(gpu, 0, 300, 1000, cuda=gpu)
