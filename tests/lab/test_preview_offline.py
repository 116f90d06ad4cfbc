"""A preview needs no running lab and none of its programs. Here, too: the engine's plain data. No server is started."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from cli.app import main
from lab import data, simulate
from lab.driver import LabDriver, Summary
from lab.engine import Recorded
from lab.objects import Json
from lab.show import Show
from preview.values import SECRET_SIGNATURE, SIGNATURE_KEY
from tests.conftest import shipped
from tests.lab.conftest import ROOT


@pytest.fixture(scope="module")
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("offline")


@pytest.fixture(scope="module")
def preview(folder: Path, said: io.StringIO) -> Summary:
    """The lab's own stack on a machine where nothing was ever built."""
    for source in (ROOT / "__main__.py", shipped("lab")):
        shutil.copy(source, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPU_TENANCY_CACHE", str(folder / "empty"))
        return LabDriver("lab", folder / "Pulumi.lab.yaml", folder, Show(said)).preview()


def test_a_preview_without_a_lab_lists_everything_and_says_that_nothing_was_validated(
    preview: Summary, folder: Path
) -> None:
    assert preview.ok
    assert set(preview.counts) == {"create"}
    assert preview.unvalidated == preview.counts["create"]
    assert f"{preview.unvalidated} not validated" in preview.text()
    assert not (folder / ".lab").exists(), "a preview leaves nothing"
    assert not (folder / "empty").exists(), "a preview builds nothing"


def test_a_preview_without_a_lab_still_sees_what_policies_need(preview: Summary) -> None:
    quotas = [item for item in preview.recorded if item.type == "kubernetes:core/v1:ResourceQuota"]
    assert {item.inputs["spec"]["hard"]["requests.nvidia.com/gpu"] for item in quotas} == {"4", "8", "0"}
    teams = {item.name: item for item in preview.recorded if item.type == "gpu-tenancy:index:Team"}
    assert set(teams) == {"ml", "research", "dev"}
    assert teams["ml"].outputs["name"] == "ml"
    queue = next(item for item in preview.recorded if item.name == "ml-queues-parent")
    release = next(item for item in preview.recorded if item.name == "ml-virtual-cluster-vcluster")
    assert queue.deleted_with == release.urn
    assert queue.provider == next(item.urn for item in preview.recorded if item.name == "ml-virtual-cluster-inner")


def test_the_first_line_says_simulation_stack_and_context(preview: Summary, said: io.StringIO) -> None:
    first = said.getvalue().splitlines()[0]
    assert first.startswith("SIMULATION (the lab, no real cluster, no GPU): stack lab, context kwok-host, cluster ")


def test_a_step_has_the_shape_of_the_engines_own() -> None:
    item = Recorded(urn="u", type="t", name="n", inputs={"a": 1, "b": 2}, op="update", old_inputs={"a": 1, "b": 3})
    step = item.step()
    assert (step["op"], step["urn"]) == ("update", "u")
    assert step["oldState"]["inputs"] == {"a": 1, "b": 3}
    assert step["newState"]["inputs"] == {"a": 1, "b": 2}
    assert step["detailedDiff"] == {"b": {"kind": "update", "inputDiff": True}}


def secret(value: object) -> Json:
    return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value}


def test_a_masked_secret_shows_only_that_it_changed() -> None:
    one, same, other = (data.masked({"k": secret(text)}, "salt") for text in ("hunter2", "hunter2", "hunter3"))
    assert one == same
    assert one != other
    assert "hunter" not in str(one)
    assert data.masked({"k": secret("hunter2")}, "another lab's salt") != one, "a hash can't be looked up"


def test_a_secret_is_masked_wherever_it_hides() -> None:
    nested = {"list": [{"deep": secret({"inner": secret("canary")})}], "object": secret({"k": "canary"})}
    assert "canary" not in str(data.masked(nested, "salt"))


def test_a_secret_objects_content_is_hidden_though_the_program_did_not_say_so() -> None:
    inputs = {"kind": "Secret", "stringData": {"k": "canary"}, "data": {"k": "Y2FuYXJ5"}, "metadata": {"name": "s"}}
    shown = str(data.masked(data.hide_secret_data(inputs), "salt"))
    assert "canary" not in shown
    assert "Y2FuYXJ5" not in shown
    assert "'name': 's'" in shown


def test_whole_numbers_stay_whole_and_halves_stay_halves() -> None:
    assert repr(data.plain({"gpu": 4.0, "share": [0.5, secret(2.0)]})) == "{'gpu': 4, 'share': [0.5, 2]}"


@pytest.mark.parametrize(
    ("chart", "name"),
    [
        ("vcluster", "vcluster"),
        ("oci://registry.example/kai-scheduler/kai-scheduler", "kai-scheduler"),
        ("/srv/charts/kai-scheduler-v0.9.3.tgz", "kai-scheduler"),
        ("./charts/nvidia-device-plugin-0.17.1.tgz", "nvidia-device-plugin"),
        ("./charts/gpu-operator/", "gpu-operator"),
        ("./charts/vcluster-0.36.1-rc.1.tgz", "vcluster"),
    ],
)
def test_a_chart_is_known_by_the_last_part_of_its_place(chart: str, name: str) -> None:
    assert simulate.chart_name(chart) == name


@pytest.mark.parametrize(
    ("server", "port"),
    [
        ("https://127.0.0.1:30101", 30101),
        ("https://localhost:30101/", 30101),
        ("https://10.0.0.5:30101", None),
        ("https://ml.team-ml.svc", None),
        ("https://127.0.0.1.example:30101", None),
        (None, None),
    ],
)
def test_only_an_address_of_this_machine_is_served_at_its_port(server: str | None, port: int | None) -> None:
    assert simulate._loopback_port({"exportKubeConfig": {"server": server}} if server else {}) == port


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stack", "code", "word"),
    [
        ("lab", 0, "policy supported-version, advisory: KAI v0.7.11 was never supported"),
        ("strict", 1, "the policies refuse"),
    ],
)
def test_the_command_shows_what_the_policies_say_without_engine_or_lab(
    stack: str,
    code: int,
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # a stack without levels of its own gets prod's
    monkeypatch.setenv("GPU_TENANCY_CACHE", str(tmp_path / "empty"))
    shutil.copy(ROOT / "__main__.py", tmp_path)
    shutil.copy(shipped("lab"), tmp_path / f"Pulumi.{stack}.yaml")
    assert main(["--stack", stack, "preview"], root=tmp_path) == code
    said = capsys.readouterr()
    assert word in said.err
    assert said.out.startswith("team dev\n  + Team dev\n"), "the plan is the result, and goes where results go"
    assert "\x1b[" not in said.out, "colours are for terminals"
    assert said.out.count("not validated: its API server does not run") == 1
    assert "not validated" not in said.err.replace("nothing is validated", "")
