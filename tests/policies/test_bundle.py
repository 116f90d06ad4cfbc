"""The pack as the engine starts it: from the repository, and from a bundle that stands alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
import yaml
from google.protobuf import empty_pb2, json_format  # type: ignore[import-untyped]
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import EnforcementLevel

from policies.bundle import ROOT, main, requirements, sources, write
from policies.config import FOLDER, Level, parse
from policies.pack import NAME, initial_config
from policies.rules import LIMITS, RULES
from policies.run import config_for

pytestmark = pytest.mark.slow


@contextmanager
def started(folder: Path, **variables: str) -> Iterator[Mapping[str, Any]]:
    """Start the pack in a folder as the engine does, ask it what it is, and end it."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PULUMI_STACK", "PYTHONPATH")}
    pack = subprocess.Popen(
        [sys.executable, str(folder)], cwd="/", env={**environment, **variables}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert pack.stdout is not None
        port = pack.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = analyzer_pb2_grpc.AnalyzerStub(channel)
            yield json_format.MessageToDict(stub.GetAnalyzerInfo(empty_pb2.Empty()))
    finally:
        pack.kill()
        pack.wait()


def levels(info: Mapping[str, Any]) -> Mapping[str, str]:
    """The level of each rule that the pack itself asks for; the engine leaves the first of its names out."""
    return {rule: found.get("enforcementLevel", "ADVISORY") for rule, found in info["initialConfig"].items()}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "pack"
    write(folder)
    return folder


@pytest.mark.parametrize(
    ("stack", "level"), [("prod", "MANDATORY"), ("dev", "ADVISORY"), ("customer-7", "MANDATORY"), (None, "MANDATORY")]
)
def test_without_a_configuration_the_stacks_own_levels_hold(stack: str | None, level: str) -> None:
    with started(ROOT / "policies", **({"PULUMI_STACK": stack} if stack else {})) as info:
        assert info["name"] == NAME
        assert [policy["name"] for policy in info["policies"]] == [rule.name for rule in RULES]
        found = levels(info)
    assert {found[rule.name] for rule in RULES if rule.name != "support-ends-soon"} == {level}
    assert info["initialConfig"]["no-unlimited-gpu"]["properties"]["allowUnlimited"] is (stack == "dev")


def test_a_bundle_stands_alone_and_has_prods_levels_for_whoever_requires_it(bundle: Path) -> None:
    with started(bundle) as info:
        assert [policy["name"] for policy in info["policies"]] == [rule.name for rule in RULES]
        assert levels(info)["gpu-collision"] == "MANDATORY"


def test_a_bundle_holds_the_rules_and_no_more_than_they_import(bundle: Path) -> None:
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert {"PulumiPolicy.yaml", "__main__.py", "requirements.txt", "policies/config/prod.json"} <= files
    assert {"policies/rules/quota.py", "names.py", "capacity/gpus.py", "releases/kai.py"} <= files
    # what makes the platform, and what is a user's, is none of the rules'
    assert not any(path.startswith(("components/", "cli/", "lab/", "Pulumi.", "tests/")) for path in files)
    pack, ours = (yaml.safe_load((at / "PulumiPolicy.yaml").read_text()) for at in (bundle, ROOT / "policies"))
    # the repository's environment is not there
    assert list(pack.items()) == list({**ours, "runtime": "python"}.items())
    assert (bundle / "requirements.txt").read_text().splitlines() == requirements()
    assert sources() == sorted(sources())


def test_a_bundle_asks_for_the_packages_that_its_rules_import_at_the_programs_versions() -> None:
    assert [line.partition("==")[0] for line in requirements()] == ["pulumi", "pulumi-policy", "pydantic"]
    assert all(line.partition("==")[2] for line in requirements())


def test_a_bundle_is_never_written_over_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("x")
    assert main([str(tmp_path)]) == 2
    assert "is not empty; name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert main([str(tmp_path / "new")]) == 0
    assert "pulumi policy publish" in capsys.readouterr().out


def test_a_bundle_goes_into_a_new_folder_or_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.bundle.sources", lambda: [Path("policies/rules/quota.py"), Path("names.py")])
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b"):
        write(folder)
        assert (folder / "policies/rules/quota.py").read_bytes() == (ROOT / "policies/rules/quota.py").read_bytes()


def test_a_pack_that_cannot_be_imported_is_no_empty_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.bundle._IMPORTED", "raise SystemExit(3)")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        sources()
    assert caught.value.returncode == 3


def test_levels_that_cannot_be_read_end_the_pack_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "prod.json").write_text('{"no-such-rule": "advisory"}')
    code = f"from pathlib import Path; from policies.start import start; start(Path({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "policy pack gpu-tenancy: prod.json: no-such-rule: no such rule"


def test_the_packs_own_levels_are_those_of_the_file() -> None:
    config = config_for("prod")
    found = initial_config(config)
    assert found["support-ends-soon"] == {"enforcementLevel": EnforcementLevel.ADVISORY, "warnDays": 60}
    assert found["all"] is EnforcementLevel.MANDATORY
    # a list, as a file says it
    assert found["pinned-image"] == {
        "enforcementLevel": EnforcementLevel.MANDATORY,
        "requireDigest": False,
        "registries": list(config.limits.registries),
    }
    for rule in RULES:
        own = found[rule.name]
        assert isinstance(own, dict)
        # what is written there is what the file's reader takes
        again = parse({rule.name: own | {"enforcementLevel": own["enforcementLevel"].value}}, LIMITS)
        assert again.level(rule.name) is config.level(rule.name)
    assert config.default is Level.MANDATORY
    assert FOLDER == ROOT / "policies" / "config"
