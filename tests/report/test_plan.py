"""What `make preview` prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from preview.read import read_preview
from preview.usage import usage_of
from report.lines import Line, Tone
from report.plan import plan
from report.redact import Redactor
from settings.models import Platform
from tests.report.world import World, diff, digest, platform, team

SAME = {"ml": team("a100", 4, 6), "research": team("l4", 2)}


def lines(base: Platform | None, head: Platform, raw: dict[str, Any] | None = None) -> list[Line]:
    preview = read_preview(json.dumps(raw or digest(base, head)))
    return plan(preview, head, Redactor(), usage=usage_of({"ml": 0, "research": 0}))


def texts(found: list[Line]) -> list[str]:
    return [line.text for line in found]


def test_old_and_new_values_stand_below_their_resource_by_team() -> None:
    said = texts(lines(platform(SAME), platform({**SAME, "ml": team("a100", 4, 8)})))
    at = said.index("  ~ Team ml")
    assert said[said.index("team ml") + 1] == "  ~ Team ml", "the team as it says itself comes first"
    assert said[at + 1] == "      gpuLimit: 6 → 8"
    assert '      spec.hard["requests.nvidia.com/gpu"]: 6 → 8' in said
    assert "team research" not in said


def test_a_replacement_has_its_own_mark_and_its_reason() -> None:
    found = lines(platform(SAME), platform({**SAME, "research": team("l4", 2, version="v0.7.11")}))
    (line,) = [line for line in found if line.text.startswith("  ± ")]
    assert line.text == "  ± Release research-scheduler-release  because of version"
    assert line.tone is Tone.BAD
    assert "      version: v0.9.3 → v0.7.11" in texts(found)


def test_who_loses_something_stands_first_and_in_words() -> None:
    said = texts(lines(platform(SAME), platform({"ml": team("a100", 4, 8)})))
    assert said[0] == "team research"
    assert said[1].startswith("  LOSS: removed: its virtual cluster")
    assert said.index("team ml") > said.index("team research")


def test_what_is_not_validated_is_said_once_for_all_of_them() -> None:
    raw = digest(None, platform(SAME))
    for step in raw["steps"]:
        step["note"] = "not validated: its API server does not run"
    found = texts(lines(None, platform(SAME), raw))
    (line,) = [text for text in found if "not validated" in text]
    assert line == f"not validated: its API server does not run ({len(raw['steps'])} resources)"


def test_a_secret_stays_one() -> None:
    settings = platform(SAME)
    old, new = World("prod", settings), World("prod", settings)
    for world, word in ((old, "canary-old"), (new, "canary-new")):
        world.add("kubernetes:core/v1:Secret", "s", {"kind": "Secret", "stringData": {"password": word}})
    said = "\n".join(texts(lines(settings, settings, diff(old, new))))
    assert "stringData: [secret] (changes, not shown)" in said
    assert "canary" not in said


def test_many_teams_that_change_alike_share_their_lines() -> None:
    alike = {f"t{number}": team("a100", 1) for number in range(5)}
    said = texts(lines(None, platform({**alike, "ml": team(None)})))
    (shared,) = [text for text in said if text.startswith("5 teams")]
    assert shared == "5 teams, each with its name for <team>: t0, t1, t2, t3, t4"
    at = said.index(shared)
    end = said.index("", at)
    written_out = texts(lines(None, platform({"t3": team("a100", 1)})))
    own = written_out[written_out.index("team t3") + 1 :]
    assert [text.replace("<team>", "t3") for text in said[at + 1 : end]] == own[: own.index("")]
    assert "team ml" in said
    assert "  + Release ml-virtual-cluster-vcluster" in said, "what differs is written out"
    assert not [text for text in said if "t3-" in text]


def test_few_teams_that_change_alike_are_written_out() -> None:
    said = texts(lines(None, platform({f"t{number}": team("a100", 1) for number in range(3)})))
    assert [text for text in said if text.startswith("team t")] == ["team t0", "team t1", "team t2"]


def test_each_team_reads_the_lines_that_it_would_have_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # names that are parts of other words, of each other and of a resource's own name
    head = platform({name: team("a100", 1) for name in ("check", "release", "t-check", "queues", "a", "a-check")})
    shared = texts(lines(None, head))
    monkeypatch.setattr("report.plan.MANY", 100)
    read: dict[str, list[str]] = {}
    for block in "\n".join(shared).split("\n\n"):
        title, *rest = block.splitlines()
        names = title.partition(": ")[2].split(", ") if "<team>" in title else [title.removeprefix("team ")]
        read.update({name: [line.replace("<team>", name) for line in rest] for name in names})
    for block in "\n".join(texts(lines(None, head))).split("\n\n"):
        title, *rest = block.splitlines()
        assert read[title.removeprefix("team ")] == rest


def test_no_change_is_one_line() -> None:
    assert texts(lines(platform(SAME), platform(SAME))) == ["no changes"]


def test_the_last_lines_count() -> None:
    said = texts(lines(platform(SAME), platform({**SAME, "ml": team("a100", 4, 8)})))
    assert said[-1] == "4 to update"


def test_a_team_that_keeps_snapshots_hears_that_one_is_taken_first() -> None:
    def ml(version: str, **snapshots: object) -> dict[str, Any]:
        return team("a100", 4, 6, version=version, vcluster={"snapshots": snapshots})

    first = "  first: a snapshot of its virtual cluster; if that fails, nothing is changed"
    was = {**SAME, "ml": ml("v0.14.7", beforeChanges=True)}
    said = texts(lines(platform(was), platform({**SAME, "ml": ml("v0.16.8", beforeChanges=True)})))
    assert said[said.index("team ml") + 1] == first
    quiet = texts(lines(platform(was), platform({**SAME, "ml": ml("v0.16.8")})))
    assert first not in quiet


class Unasked(Redactor):
    """Says when somebody looks for secrets in values."""

    asked = 0

    def value(self, value: Any, *, key: str = "", above: str = "", resource_type: str = "") -> Any:
        self.asked += 1
        return super().value(value, key=key, above=above, resource_type=resource_type)


@pytest.mark.parametrize("warned", [False, True])
def test_values_are_looked_into_where_something_is_to_be_written_and_only_there(warned: bool) -> None:
    raw = digest(platform(SAME), platform(SAME))
    if warned:  # it may quote what only its place among the values makes a secret
        raw["diagnostics"] = [{"severity": "warning", "message": "team ml: hunter2x"}]
    redactor = Unasked()
    assert texts(plan(read_preview(json.dumps(raw)), platform(SAME), redactor)) == ["no changes"]
    assert bool(redactor.asked) is warned
