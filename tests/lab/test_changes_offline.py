"""What the lab would do to a platform that is there: replacements as on the engine, losses refused, before any server
is asked. The state file is written as a run would have left it; no program of the lab is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from cli.app import main
from lab.backend import _entry
from lab.data import kept, short
from lab.driver import LabDriver
from lab.errors import LabError, RefusedChangeError
from lab.objects import Json
from lab.show import Show
from lab.state import Entry, State
from settings.load import PLATFORM_KEY
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

TODAY = date.today()


PLATFORM: Json = {
    "host": {"provider": "lab"},
    "gpu": {"stack": "fake"},
    "pools": {"a100": {"nodes": ["gpu-0"], "gpusPerNode": 4}, "cpu": {"nodes": ["cpu-0"], "gpusPerNode": 0}},
    "teams": {
        "ml": {
            "pool": "a100",
            "scheduler": {"mode": "virtual", "version": "v0.9.3"},
            "resources": {"gpus": 2},
            "queues": {"training": {"gpu": 2}},
            "check": {"enabled": False},
        },
        "dev": {"pool": "cpu", "resources": {"cpu": 8}},
    },
    "check": {"host": False},
}


class Made:
    """A lab that was made, and whose servers are gone."""

    def __init__(self, root: Path) -> None:
        self.root, self.stack_file = root, root / "Pulumi.lab.yaml"
        shutil.copy(ROOT / "__main__.py", root / "__main__.py")
        shutil.copytree(ROOT / "policies" / "config", root / "policies" / "config")
        self.write(PLATFORM)
        driver = self.driver()
        recorded = driver.preview().recorded
        driver.home.mkdir(parents=True)
        state = State(driver.home / "state.json")
        for item in recorded:
            if item.op == "create":
                state.entries[item.urn] = _entry(item, custom=item.custom)
        state._save()
        self.before = (driver.home / "state.json").read_text()

    def driver(self) -> LabDriver:
        return LabDriver("lab", self.stack_file, self.root, Show())

    def write(self, platform: Json, *more: str) -> None:
        self.stack_file.write_text(yaml.safe_dump({"config": {PLATFORM_KEY: platform}}) + "".join(more))

    def untouched(self) -> bool:
        return (self.root / ".lab" / "lab" / "state.json").read_text() == self.before


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPU_TENANCY_CACHE", str(tmp_path_factory.mktemp("empty")))
        return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture
def made(original: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Made:
    monkeypatch.setenv("GPU_TENANCY_CACHE", str(tmp_path / "empty"))
    original.write(PLATFORM)
    assert original.untouched()
    return original


def with_teams(change: Callable[[dict[str, Json]], object], **more: object) -> Json:
    platform = deepcopy(PLATFORM)
    change(platform["teams"])
    return {**platform, **more}


def override(team: str, *allow: str) -> Json:
    until = TODAY + timedelta(days=3)
    return {"team": team, "allow": list(allow), "until": until, "reason": "the test says that it may"}


def set_version(teams: dict[str, Json], team: str, version: str) -> None:
    teams[team]["scheduler"]["version"] = version


def test_another_kai_line_is_a_replacement_as_on_the_engine(made: Made) -> None:
    made.write(with_teams(lambda teams: set_version(teams, "ml", "v0.16.8")))
    ops = {item.name: (item.op, item.replace_reasons) for item in made.driver().preview().recorded}
    assert ops["ml-scheduler-release"] == ("replace", ("replacementTrigger",))


def test_the_same_kai_line_is_an_update_and_a_component_shows_its_old_and_new_numbers(made: Made) -> None:
    def change(teams: dict[str, Json]) -> None:
        set_version(teams, "ml", "v0.9.2")
        teams["dev"]["resources"].update(cpu=12)

    made.write(with_teams(change))
    preview = made.driver().preview()
    assert {item.name: item.op for item in preview.recorded}["ml-scheduler-release"] == "update"
    step = next(step for step in preview.steps() if step["urn"].endswith("index:Team::dev"))
    assert (step["op"], step["oldState"]["inputs"]["cpu"], step["newState"]["inputs"]["cpu"]) == ("update", "8", "12")


def test_an_unchanged_platform_is_no_change_but_for_the_servers_that_are_gone(made: Made) -> None:
    preview = made.driver().preview()
    changed = [item.name for item in preview.recorded if item.op not in ("same", "read")]
    assert sorted(changed) == [
        "dev-virtual-cluster-vcluster",
        "ml-virtual-cluster-vcluster",
    ]
    assert preview.ok


def test_an_install_that_did_not_end_is_to_be_made_and_shows_no_differences_from_nothing(made: Made) -> None:
    state = made.root / ".lab" / "lab" / "state.json"
    data = json.loads(state.read_text())
    for entry in data["resources"]:
        if entry["name"] in ("ml-virtual-cluster-vcluster", "ml-scheduler-release", "ml-guardrails-quota"):
            entry["inputs"] = {}  # as it stands there while the object is being sent
    state.write_text(json.dumps(data))
    steps = {step["urn"].rpartition("::")[2]: step for step in made.driver().preview().steps()}
    state.write_text(made.before)
    for name in ("ml-virtual-cluster-vcluster", "ml-scheduler-release"):
        assert steps[name]["op"] == "create"
    begun = steps["ml-guardrails-quota"]
    assert "detailedDiff" not in begun
    assert "oldState" not in begun


@pytest.mark.parametrize("command", ["up", "preview"])
def test_a_team_that_is_left_out_without_an_override_is_refused_and_nothing_is_touched(
    made: Made, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made.write(with_teams(lambda teams: teams.pop("ml")))
    assert main(["--stack", "lab", command], root=made.root) == 2
    said = capsys.readouterr().err
    assert "team ml: deletes " in said
    assert f"{{team: ml, allow: [delete], until: {TODAY + timedelta(days=7)}, reason: ...}}" in said
    assert made.untouched()


def test_a_team_that_is_left_out_with_an_override_may_go(made: Made) -> None:
    made.write(with_teams(lambda teams: teams.pop("ml"), overrides=[override("ml", "delete")]))
    preview = made.driver().preview()
    assert preview.refusals == ()
    assert {item.name: item.op for item in preview.recorded}["ml"] == "delete"


@pytest.mark.parametrize(
    "change",
    [
        lambda teams: teams["ml"].update(vcluster={"backingStore": "etcd"}),
        lambda teams: teams["ml"].update(vcluster={"persistence": False}),
        lambda teams: teams["ml"].update(vcluster={"kubernetesVersion": "v1.30.2"}),
    ],
)
def test_what_loses_a_virtual_cluster_is_refused_without_an_override(
    made: Made, change: Callable[[dict[str, Json]], object]
) -> None:
    made.write(with_teams(change))
    summary = made.driver().up()
    assert [(refusal.team, refusal.change) for refusal in summary.refusals] == [("ml", "replace")]
    assert not summary.ok
    assert made.untouched()


def test_down_asks_for_the_override_of_every_team(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RefusedChangeError) as caught:
        made.driver().down()
    assert [(refusal.team, refusal.change) for refusal in caught.value.refusals] == [
        ("dev", "delete"),
        ("ml", "delete"),
    ]
    assert "make lab-reset" in caught.value.fix
    assert main(["--stack", "lab", "down"], root=made.root) == 2
    assert made.untouched()


def test_the_docs_own_override_with_an_unquoted_date_is_read_as_the_engine_reads_it(made: Made) -> None:
    made.write(with_teams(lambda teams: None, overrides=[override("ml", "delete")]))
    assert f"until: {TODAY + timedelta(days=3)}\n" in made.stack_file.read_text(), "no quotes around it"
    platform = json.loads(made.driver()._config()[PLATFORM_KEY])
    assert platform["overrides"][0]["until"] == f"{TODAY + timedelta(days=3)} 00:00:00 +0000 UTC"
    assert made.driver().preview().ok


def test_a_state_of_an_older_lab_is_read(tmp_path: Path) -> None:
    old = {"urn": "u", "type": "t", "name": "n", "inputs": {"a": 1}, "object": {}}
    (tmp_path / "state.json").write_text(json.dumps({"resources": [old]}))
    assert State(tmp_path / "state.json").entries == {"u": Entry(urn="u", type="t", name="n", inputs=short({"a": 1}))}


def test_what_the_program_ignores_stays_as_it_was() -> None:
    old = {"spec": {"shown": "old", "limit": 1}}
    assert kept({"spec": {"shown": "new", "limit": 2}}, old, ["spec.shown"]) == {"spec": {"shown": "old", "limit": 2}}
    assert kept({"spec": {"more": 1}}, old, ["spec.more"]) == {"spec": {}}
    assert kept({"spec": {"limit": 1}}, old, ["metadata.name"]) == {"spec": {"limit": 1}}
    with pytest.raises(LabError, match=r"ignore_changes 'ports\[0\]' is not simulated"):
        kept({}, old, ["ports[0]"])
