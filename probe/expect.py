"""What a check was promised: by the Job's environment, by hand, or by a recording.

Owns: the expectation's keys and their rules, and reading it. Leaves to others: comparing anything with it (`judge`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

SCHEMA_VERSION = "1.2"
Json = dict[str, Any]  # as an API server or a report says it
Facts = Json  # as measured: its keys differ by driver, GPU and torch, so no tighter type fits


MODES = ("whole", "fraction", "gpu-memory", "replica", "mig", "host", "cpu")
CPU = "cpu"  # no GPU is asked for: what is shown is that such a pod is placed
ALONE = ("whole", "host")  # nobody else may use the GPU; floors and the memory-in-use bound hold only here
FRACTIONS = ("fraction", "gpu-memory")
SHARINGS = ("timeSlicing", "mps", "mig")


class ProbeInputError(ValueError):
    """What the caller gave can't be used; the text says which key, the rule, and the value got."""


@dataclass(frozen=True)
class Expect:
    """What the caller promised this pod; its JSON form (GPU_CHECK_EXPECT, --expect) has the same names in camelCase.

    gpus: devices or slices that must be in sight, null for as many as there are. fraction: share of one GPU, in (0, 1].
    gpu_memory_mib, pool_gpu_memory_mib: MiB. memory_fraction: share of the granted memory that is allocated and tested.
    enforced: whether a share of a GPU's memory is a limit, which is tried then. replicas: how many pods share one GPU.
    sharing: by which of SHARINGS they do. runtime_class: the pod's, for the words of a report. injection: the way that
    GPUs come on these hosts, as a report calls it. on_failure: the lowest verdict that fails the Job.
    """

    team: str = ""
    queue: str = ""
    mode: str = "whole"
    gpus: int | None = None
    fraction: float | None = None
    gpu_memory_mib: int | None = None
    enforced: bool = False
    replicas: int | None = None
    sharing: str | None = None
    runtime_class: str | None = None
    injection: str | None = None
    product: str | None = None
    pool_gpu_memory_mib: int | None = None
    memory_fraction: float = 0.5
    on_failure: str = "fail"
    deadline_seconds: float = 180.0
    fake: bool = False
    scheduler_version: str | None = None
    pool: str | None = None
    node: str | None = None
    stamp: str = ""

    @classmethod
    def parse(cls, raw: object) -> Expect:
        """The expectation in a decoded JSON object; ProbeInputError for an unknown key or a value off its rule."""
        if not isinstance(raw, dict):
            raise ProbeInputError(f"the expectation must be a JSON object, got {type(raw).__name__}")
        names = {camel(f.name): f.name for f in fields(cls)}
        for key, value in raw.items():
            if key not in names:
                raise ProbeInputError(f"expectation key {key!r} is unknown; known keys: {', '.join(sorted(names))}")
            right, rule = EXPECT_RULES.get(key, IS_TEXT)
            if value is not None and not right(value):
                raise ProbeInputError(f"expectation key {key!r} must be {rule}, got {value!r}")
        expect = cls(**{names[key]: value for key, value in raw.items() if value is not None})
        for mode, key in (("fraction", "fraction"), ("gpu-memory", "gpuMemoryMib")):
            if expect.mode == mode and raw.get(key) is None:
                raise ProbeInputError(f"expectation mode {mode!r} needs {key!r}")
        return expect

    def share_mib(self, whole_mib: int) -> int:
        """MiB that were asked for of a GPU that has `whole_mib`; all of them without a share."""
        if self.mode == "gpu-memory" and self.gpu_memory_mib:
            return min(self.gpu_memory_mib, whole_mib)
        return int(whole_mib * (self.fraction or 1.0)) if self.mode == "fraction" else whole_mib

    def as_json(self) -> Facts:
        return {camel(key): value for key, value in asdict(self).items()}


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


Rule = tuple[Callable[[Any], bool], str]  # of a value that may be anything
IS_TEXT: Rule = (lambda value: isinstance(value, str), "a string")
IS_COUNT: Rule = (
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    "a whole number of at least 1",
)
EXPECT_RULES: dict[str, Rule] = {
    **dict.fromkeys(("gpus", "gpuMemoryMib", "poolGpuMemoryMib", "replicas"), IS_COUNT),
    "mode": (lambda value: value in MODES, f"one of {', '.join(MODES)}"),
    "sharing": (lambda value: value in SHARINGS, f"one of {', '.join(SHARINGS)}"),
    "onFailure": (lambda value: value in ("fail", "warn"), "fail or warn"),
    "fraction": (lambda value: number(value) and 0 < value <= 1, "a number above 0 and at most 1"),
    # above 1 by hand shows that a GPU that is too small is caught
    "memoryFraction": (lambda value: number(value) and 0 < value <= 2, "a number above 0 and at most 2"),
    "deadlineSeconds": (lambda value: number(value) and value > 0, "a number of seconds above 0"),
    **dict.fromkeys(("fake", "enforced"), (lambda value: isinstance(value, bool), "true or false")),
}


def read_text(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def load_json(text_or_path: str, what: str) -> Facts:
    """A JSON object from a file or, where the text begins with a brace, from the text itself."""
    text = text_or_path if text_or_path.lstrip().startswith("{") else read_text(text_or_path)
    if text is None:
        raise ProbeInputError(f"{what}: {text_or_path!r} can't be read; give a file or a JSON object")
    try:
        loaded = json.loads(text)
    except ValueError as error:
        raise ProbeInputError(f"{what}: not JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise ProbeInputError(f"{what}: must be a JSON object, got {type(loaded).__name__}")
    return loaded
