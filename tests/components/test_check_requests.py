"""What each check asks for and what it proves, whole, for every kind of tenant and of pool.

A check's pod has most of it in one variable, which the records of whole programs leave out (`test_existing_stacks.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from components.check.host import host_requests
from components.team.team import check_request, checked
from components.team.tenant import resolve
from preview.differences import differences, written
from settings.load import parse_platform
from tests.conftest import platform_of
from tests.settings.build import raw

REQUESTS: Final = Path(__file__).parent / "recorded" / "requests.json"
SHARES: Final = {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True}
ENFORCED: Final = {**SHARES, "gpuSharing": {"enforce": "memory"}}


def stacks() -> Mapping[str, dict[str, Any]]:
    """Platforms that have, together, a tenant of each kind."""
    slots = {"serves": "blue", "blue": {}, "green": {"version": "v0.16.8"}}
    three: dict[str, object] = {"teams.ml.resources.gpus": 3, "teams.research": None}
    return {
        "prod": platform_of("prod"),
        "lab": platform_of("lab"),
        "dev": platform_of("dev"),
        "blue and green": raw({**three, "teams.ml.blueGreen": slots, "teams.ml.queues": {"training": {"gpu": 3}}}),
        "a pair, enforced": raw(
            {
                "teams.research": None,
                "teams.ml.scheduler": ENFORCED,
                "teams.ml.isolation": "privileged",
                "teams.ml.check": {"pair": [0.5, 0.25]},
                "check": {"onFailure": "warn", "deadlineSeconds": 500, "gpuMemoryFraction": 0.5},
            }
        ),
        "some memory": raw(
            {
                "teams.research": None,
                "teams.ml.scheduler": SHARES,
                "teams.ml.check": {"gpuMemoryMib": 4096, "queue": "notebooks"},
                "gpu": {"stack": "devicePlugin", "injection": "cdi"},
                "artifacts": {"imageRegistry": "mirror.example.com", "imagePullPolicy": "IfNotPresent"},
            }
        ),
        "paused, and a queue without a GPU": raw(
            {
                "teams.ml.state": "paused",
                "teams.research.resources": {"gpus": 0},
                "teams.research.queues": {"work": {"gpu": 0}},
                "gpu": {"stack": "devicePlugin", "injection": "cdi"},
            }
        ),
    }


def everything() -> dict[str, object]:
    found: dict[str, object] = {}
    for name, data in stacks().items():
        platform = parse_platform(data, "test")
        found[name] = {
            "host": {node: asdict(request) for node, request in host_requests(platform).items()},
            "teams": {
                team: {"request": asdict(check_request(tenant, platform)), "checked": checked(tenant)}
                for team, tenant in resolve(platform).items()
            },
        }
    return found


def test_every_check_asks_for_what_is_recorded() -> None:
    """Written anew with RECORD=1 in the environment."""
    found = json.loads(json.dumps(everything()))
    if "RECORD" in os.environ:
        REQUESTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    known = json.loads(REQUESTS.read_text(encoding="utf-8"))
    assert [f"{written(each.path)}: was {each.old}, is {each.new}" for each in differences(known, found)] == []
