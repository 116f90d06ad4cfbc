"""The whole life of a lab, with a decoy wherever a kubeconfig could be looked for: nobody calls it."""

from __future__ import annotations

import pytest
import yaml

from lab.binaries import Binaries, cache_dir
from settings.load import PLATFORM_KEY
from tests.cli.test_decoy import Decoy, decoy
from tests.lab.conftest import example

__all__ = ["decoy"]

pytestmark = pytest.mark.lab

CACHE = str(cache_dir())
"""The user's own, which the decoy's home hides."""


def test_no_cluster_of_the_users_is_called(programs: Binaries, decoy: Decoy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_TENANCY_CACHE", CACHE)
    file = decoy.root / "Pulumi.lab.yaml"
    loaded = yaml.safe_load(file.read_text())
    host = loaded["config"][PLATFORM_KEY]["host"]
    file.write_text(yaml.safe_dump({"config": {PLATFORM_KEY: {**example(), "host": host}}}))
    try:
        for command in ("up", "status", "outputs", "preview", "up"):
            assert decoy.run(command) == 0, command
        decoy.run("down")  # refused while teams are protected
    finally:
        decoy.run("lab-reset")
    assert decoy.calls == []
