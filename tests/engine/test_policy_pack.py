"""The pack on the real engine: one preview that passes, and ones that it blocks, before anything is created.

The program is a stub that registers components with literal inputs, so no cluster is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import pulumi

class Stub(pulumi.ComponentResource):
    def __init__(self, token, name, facts):
        super().__init__(token, name, {"name": name, **facts})
        self.register_outputs({})

config = pulumi.Config()
pool = {"nodes": ["gpu-0"], "size": 1, "gpusPerNode": 8, "replicas": 1, "unit": "GPU"}
Stub("gpu-tenancy:index:NodePool", "a100", pool)
for team in ("ml", "vision"):
    gpus = {"pool": "a100", "mode": "virtual", "gpuQuota": 1, "gpuLimit": config.require_int(team)}
    Stub("gpu-tenancy:index:Team", team, gpus)
"""


@pytest.fixture
def engine(tmp_path: Path) -> dict[str, str]:
    """An empty project with a stack, on a file backend; returns the environment to run `pulumi` in."""
    if shutil.which("pulumi") is None:
        pytest.skip("pulumi is not on PATH: https://www.pulumi.com/docs/install/")
    (tmp_path / "state").mkdir()
    (tmp_path / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
    (tmp_path / "Pulumi.yaml").write_text(json.dumps({"name": "pack", "runtime": runtime}), encoding="utf-8")
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "not-a-secret",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "NO_COLOR": "1",
    }
    run(environment, tmp_path, "stack", "init", "unit")
    return environment


def run(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["pulumi", "--non-interactive", "--cwd", str(folder), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def preview(
    environment: dict[str, str], folder: Path, config: object, **limits: int
) -> subprocess.CompletedProcess[str]:
    for team, limit in limits.items():
        assert run(environment, folder, "config", "set", team, str(limit)).returncode == 0
    chosen = folder / "levels.json"
    chosen.write_text(json.dumps(config), encoding="utf-8")
    pack = ("--policy-pack", str(ROOT / "policies"), "--policy-pack-config", str(chosen))
    return run(environment, folder, "preview", *pack)


ONLY_COLLISIONS = {"all": "advisory", "gpu-collision": "mandatory"}


def test_a_preview_whose_teams_fit_passes(engine: dict[str, str], tmp_path: Path) -> None:
    done = preview(engine, tmp_path, ONLY_COLLISIONS, ml=6, vision=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gpu-tenancy" in done.stdout


def test_a_preview_whose_teams_collide_is_blocked(engine: dict[str, str], tmp_path: Path) -> None:
    done = preview(engine, tmp_path, ONLY_COLLISIONS, ml=6, vision=3)
    assert done.returncode != 0
    assert "[mandatory]  gpu-collision" in done.stdout
    assert "ml 6 + vision 3 = 9 of 8" in done.stdout


def test_an_advisory_rule_tells_and_lets_through(engine: dict[str, str], tmp_path: Path) -> None:
    done = preview(engine, tmp_path, {"all": "advisory"}, ml=6, vision=3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ml 6 + vision 3 = 9 of 8" in done.stdout


def test_a_wrong_limit_in_the_configuration_is_refused_by_the_engine(engine: dict[str, str], tmp_path: Path) -> None:
    done = preview(engine, tmp_path, {"replicas-maximum": {"maxReplicas": 0}}, ml=1, vision=1)
    assert done.returncode != 0
    assert "maxReplicas" in done.stdout + done.stderr


def test_without_a_flag_the_stacks_own_levels_hold(engine: dict[str, str], tmp_path: Path) -> None:
    for team in ("ml", "vision"):
        run(engine, tmp_path, "config", "set", team, "6")
    done = run(engine, tmp_path, "preview", "--policy-pack", str(ROOT / "policies"))
    # a stack without a file of its own gets prod's, which block
    assert done.returncode != 0
    assert "[mandatory]  gpu-collision" in done.stdout
    assert "ml 6 + vision 6 = 12 of 8" in done.stdout


SHOP = """
import pulumi

class Stub(pulumi.ComponentResource):
    def __init__(self, token, name, facts):
        super().__init__(token, name, facts)
        self.register_outputs({})

Stub("kubernetes:networking.k8s.io/v1:Ingress", "shop", {"spec": {}})
Stub("kubernetes:apps/v1:Deployment", "shop", {"spec": {"template": {"spec": {"hostNetwork": True}}}})
"""


def test_a_stack_of_another_program_is_none_of_the_packs_business(engine: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(SHOP, encoding="utf-8")
    done = run(engine, tmp_path, "preview", "--policy-pack", str(ROOT / "policies"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mandatory" not in done.stdout


def test_once_a_component_of_ours_is_in_a_stack_all_of_it_is_judged(engine: dict[str, str], tmp_path: Path) -> None:
    program = SHOP + 'Stub("gpu-tenancy:index:HostCluster", "host", {"provider": "existing"})\n'
    (tmp_path / "__main__.py").write_text(program, encoding="utf-8")
    done = run(engine, tmp_path, "preview", "--policy-pack", str(ROOT / "policies"))
    assert done.returncode != 0
    assert "[mandatory]  known-kinds" in done.stdout
    assert "[mandatory]  plain-workload" in done.stdout
