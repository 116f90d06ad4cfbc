"""Recorded facts in place of the machine's."""

from __future__ import annotations

import os
import time
from pathlib import Path

from probe.expect import Facts, ProbeInputError, load_json


def overlay(base: Facts, patch: Facts) -> Facts:
    """`patch` over `base`: objects merge, null removes, an object over a list changes the elements its keys number."""
    merged = {**base, **{key: _over(base.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in merged.items() if key not in patch or patch[key] is not None}


def _over(base: object, patch: object) -> object:
    if isinstance(base, list) and isinstance(patch, dict):
        return list(overlay({str(index): value for index, value in enumerate(base)}, patch).values())
    return overlay(base, patch) if isinstance(base, dict) and isinstance(patch, dict) else patch


def load_simulation(path: str) -> Facts:
    """A recording: {name, description, base?, expect, steps: {step: facts}, faults: {step: hang, signal or error}}."""
    recorded = load_json(path, "simulation")
    base = recorded.pop("base", None)
    if base:
        recorded = overlay(load_simulation(str(Path(path).parent / base)), recorded)
    unknown = set(recorded) - {"name", "description", "expect", "steps", "faults"}
    if unknown or not isinstance(recorded.get("steps"), dict):
        raise ProbeInputError(f"simulation: {path!r} must have 'steps' and may not have {sorted(unknown)}")
    return recorded


def replay(recorded: Facts, step: str) -> Facts:
    fault = recorded.get("faults", {}).get(step, {})
    if fault.get("hang"):
        time.sleep(3600)
    if fault.get("signal"):
        os.kill(os.getpid(), fault["signal"])
    if fault.get("error"):
        raise RuntimeError(fault["error"])
    return dict(recorded["steps"].get(step, {}))
