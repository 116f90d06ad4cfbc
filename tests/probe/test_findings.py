"""All that the check says of each recording, and of answers at the edge of what it knows, as `findings.txt` has it.

Of all but the first only what differs from it stands there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.probe.world import SIMULATIONS, Report, on_gpu, recorded, report_on

FILE: Final = Path(__file__).with_name("findings.txt")
SLOW: Final = {"pcieGenMax": 4, "pcieWidthMax": 16}
MUCH: Final = {"usedMib": 1030, "processes": []}
OTHERS: Final[Mapping[str, tuple[str, Report, dict[str, Any]]]] = {
    "healthy, ECC is off": ("healthy", on_gpu(ecc=False), {}),
    "healthy, an older link than any floor": ("healthy", {"nvml": {"gpus": {"0": SLOW}}}, {}),
    "healthy, pages of which only some are known": ("healthy", on_gpu(retiredPages=None, retiredPagesPending=1), {}),
    "healthy, CUDA does not start": ("healthy", {"cuda": {"error": "no CUDA-capable device.", "count": 0}}, {}),
    "healthy, held alone and in use by nobody in sight": ("healthy", on_gpu(**MUCH), {}),
    "healthy, a little in use": ("healthy", on_gpu(usedMib=1024, processes=[{"pid": 9, "memoryMib": 1024}]), {}),
    "fraction, seen processes whose sum is not named": (
        "fraction",
        {
            "nvml": {"gpus": {"0": {"usedMib": None, "processes": [{"pid": 9, "memoryMib": 1024}]}}},
            "memory": {"gpus": {"0": {"gotMib": 8000, "outOfMemory": "CUDA out of memory."}}},
        },
        {},
    ),
    "healthy, fakes with good answers": ("healthy", {}, {"fake": True}),
    "healthy, no GPU asked for": ("healthy", {}, {"mode": "cpu", "gpus": None}),
    "healthy, a pool's memory by torch's count": (
        "healthy",
        {"nvml": {"gpus": {"0": {"memoryMib": None}}}},
        {"poolGpuMemoryMib": 143771},
    ),
    "healthy, another way than the stack file's": ("healthy", {}, {"injection": "cdi"}),
    "two-gpus, no pattern, and one GPU's copies missing": (
        "two-gpus",
        {"memory": {"gpus": {"0": {"checkedMib": 0}}}, "peers": {"pairs": {"1": None}}},
        {},
    ),
}
"""What no recording shows: a recording, what is laid over it, what is expected."""


def said(report: Report) -> Iterator[str]:
    for found in report["findings"]:
        gpu = "" if found["gpu"] is None else f" of GPU {found['gpu']}"
        held = f"{json.dumps(found['value'])} against {json.dumps(found['bound'])}"
        yield f"{found['severity']} {found['id']}{gpu}: {found['message']} [{held}] {found['advice']}".rstrip()
    yield f"not judged: {', '.join(report['coverage']['notJudged'])}"


def test_what_the_check_says_of_each_recording_is_as_recorded() -> None:
    """Written anew with RECORD=1 in the environment."""
    healthy = list(said(report_on("healthy")))
    told = ["healthy", *healthy]
    # those with a fault end the process that plays them, or hang
    names = [path.stem for path in sorted(SIMULATIONS.glob("*.json")) if "faults" not in recorded(path.stem)]
    for name, (recording, steps, expect) in {**{name: (name, {}, {}) for name in names}, **OTHERS}.items():
        report = report_on(recording, steps, **expect)
        now = list(said(report))
        subjects = [line.partition(": ")[0].partition(" ")[2] for line in now]
        gone = [id_ for line in healthy if (id_ := line.partition(": ")[0].partition(" ")[2]) not in subjects]
        told += ["", f"{name}: {report['verdict']}", *(line for line in now if line not in healthy)]
        told += [f"without {', '.join(gone)}"] if gone else []
    text = "\n".join(told) + "\n"
    if "RECORD" in os.environ:
        FILE.write_text(text, encoding="utf-8")
    assert text == FILE.read_text(encoding="utf-8")
