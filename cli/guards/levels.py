"""The levels of a stack's policy rules, with the overrides of the stack file applied.

Owns: the levels that the program and the lab use, and the file of them for one run of the engine. Leaves to others:
what levels are (`policies/config.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.guards.refusal import lifted
from lenient import table
from policies.config import PACK, Level, PolicyConfig, pack_arguments, path_for
from policies.run import config_for
from settings.models import Platform


def levels_of(platform: Platform, stack: str, today: date) -> PolicyConfig:
    """Return the levels of a stack's rules. A rule with an override is advisory. Raises `ConfigError`."""
    config = config_for(stack)
    free = lifted("quotaRules", platform.overrides, today) or ()
    return replace(config, levels={**config.levels, **dict.fromkeys(free, Level.ADVISORY)})


@contextmanager
def policy_arguments(platform: Platform, stack: str, root: Path, today: date) -> Iterator[list[str]]:
    """The engine's arguments for the policy pack of the project; none where it has no pack."""
    if not (root / PACK / "PulumiPolicy.yaml").is_file():
        yield []
        return
    free = lifted("quotaRules", platform.overrides, today)
    if not free:
        yield pack_arguments(stack, root)
        return
    levels = json.loads(path_for(stack, root / PACK / "config").read_text(encoding="utf-8"))
    for rule in sorted(free):
        levels[rule] = {**table(levels, rule), "enforcementLevel": Level.ADVISORY.value}
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{stack}.json"
        path.write_text(json.dumps(levels), encoding="utf-8")
        yield ["--policy-pack", PACK, "--policy-pack-config", str(path)]
