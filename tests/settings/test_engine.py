"""What the engine makes of a stack file, and what the program makes of that."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from settings.load import engine_config, load_stack_file, parse_config, raw_config
from settings.models import Override
from settings.problems import SettingsError
from tests.settings.build import TODAY, raw
from tests.settings.engine_reader import engine_json

PLATFORM = "gpu-tenancy:platform"
TEXT = """\
config:
  gpu-tenancy:platform:
    host: {provider: lab}
    gpu: {stack: fake}
    pools:
      gpu: {nodes: [gpu-0], gpusPerNode: 4.0, podsPerNode: 250}
    teams:
      ml:
        pool: gpu
        scheduler: {mode: virtual, version: v0.9.3}
        resources: {gpus: 2}
        queues:
          zeta: {gpu: {quota: 1, limit: 2}}
          alpha: {gpu: 1}
    overrides:
      - {team: ml, allow: [delete], until: 2026-12-24, reason: moved to the pool}
  aws:region: yes
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "Pulumi.unit.yaml"
    made.write_text(TEXT)
    return made


def handed_on(file: Path) -> str:
    """What `pulumi up` gives the program, by a reader that is none of ours."""
    return json.dumps(engine_json(file.read_text())["config"][PLATFORM])


def refusal(value: str | None, file: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_config(value, file, today=TODAY)
    return str(caught.value).splitlines()[1:]


def test_an_unquoted_date_is_read_as_the_engine_hands_it_on() -> None:
    given = {"team": "ml", "allow": ["delete"], "until": "2026-12-31 00:00:00 +0000 UTC", "reason": "the team is gone"}
    assert Override.model_validate(given).until == date(2026, 12, 31)


def test_the_program_gets_from_the_engine_what_the_loader_reads(file: Path) -> None:
    assert parse_config(handed_on(file), file, today=TODAY) == load_stack_file(file, today=TODAY)


def test_the_lab_hands_on_what_the_engine_does(file: Path) -> None:
    config = engine_config(file)
    assert json.loads(config[PLATFORM]) == json.loads(handed_on(file))
    assert config["aws:region"] == "yes"


def test_the_first_queue_is_the_same_one_for_loader_and_engine(file: Path) -> None:
    # the engine sorts keys; the file has zeta first
    for platform in (parse_config(handed_on(file), file, today=TODAY), load_stack_file(file, today=TODAY)):
        assert platform.teams["ml"].first_queue == "alpha"
        assert platform.teams["ml"].checked_queue == "alpha"


def test_the_check_goes_through_a_queue_that_has_room_for_it(file: Path) -> None:
    file.write_text(TEXT.replace("alpha: {gpu: 1}", "alpha: {gpu: 0}"))
    assert load_stack_file(file, today=TODAY).teams["ml"].checked_queue == "zeta"


def test_the_engines_mistakes_have_the_files_lines(file: Path) -> None:
    file.write_text(TEXT.replace("gpus: 2", "gpus: 9"))
    assert [line.partition(": must")[0] for line in refusal(handed_on(file), file)] == [
        "  Pulumi.unit.yaml:11: teams.ml.resources.gpus.limit"
    ]


def test_what_readers_differ_on_is_refused_in_the_program_too(file: Path) -> None:
    # to the engine alone it would be the text yes
    file.write_text(TEXT.replace("podsPerNode: 250", "podsPerNode: 250, product: yes"))
    [line] = refusal(handed_on(file), file)
    assert line == (
        "  Pulumi.unit.yaml:6: pools.gpu.product: is read differently by different YAML readers, got 'yes'; "
        "put it in quotes"
    )


@pytest.mark.parametrize("tail", ["---\nanother: document\n", "# \u202e\n"], ids=["two documents", "direction"])
def test_what_the_engine_does_not_look_at_is_refused_in_the_program_too(tail: str, file: Path) -> None:
    value = handed_on(file)
    file.write_text(TEXT + tail)
    [line] = refusal(value, file)
    assert "holds more than one document" in line or "has a character that can't be seen, got U+202E" in line


def test_a_file_that_says_something_else_than_the_engine_has_no_word(file: Path) -> None:
    other = json.dumps(raw())
    assert parse_config(other, file, today=TODAY).teams.keys() == {"ml", "research", "dev"}
    file.write_text("config: [broken")
    assert parse_config(other, file, today=TODAY).teams.keys() == {"ml", "research", "dev"}
    file.unlink()
    assert parse_config(other, file, today=TODAY).teams.keys() == {"ml", "research", "dev"}


@pytest.mark.parametrize("value", ["hello", "[1]", "5", "null", "", "[" * 10_000, '{"a": NaN}'])
def test_whatever_the_engine_hands_on_is_one_line(value: str, file: Path) -> None:
    lines = refusal(value, file)
    assert lines
    assert all(line.isprintable() for line in lines)
    assert "must be a mapping" in lines[0] or "must be a finite number" in lines[0]


def test_a_stack_without_the_platform_says_which_key_is_missing(file: Path) -> None:
    [line] = refusal(None, file)
    assert line == "  Pulumi.unit.yaml: config: lacks the key gpu-tenancy:platform; put the platform below it"


class TestKeys:
    """Keys of `config` that the engine takes for ours."""

    def test_the_program_refuses_it_whichever_of_the_two_the_engine_took(self, file: Path) -> None:
        other = {
            "host": {"provider": "lab"},
            "gpu": {"stack": "fake"},
            "pools": {"a": {"nodes": ["n"], "gpusPerNode": 0}},
        }
        file.write_text(f"{TEXT}  platform: {json.dumps(other)}\n")
        for value in (json.dumps(other), handed_on(file)):
            [line] = refusal(value, file)
            assert "config.platform: is gpu-tenancy:platform to the engine; write gpu-tenancy:platform" in line

    @pytest.mark.parametrize("key", ["platform", "gpu-tenancy:config:platform"])
    def test_another_spelling_of_the_platform_is_refused(self, key: str, file: Path) -> None:
        # the engine would take either of the two
        file.write_text(f"{TEXT}  {key}: {{}}\n")
        with pytest.raises(SettingsError, match=f"config.{key}: is gpu-tenancy:platform to the engine; write gpu-tena"):
            load_stack_file(file, today=TODAY)

    @pytest.mark.parametrize(
        "key", ["kubeconfig", "gpu-tenancy:config:kubeconfig", "secret-token", "gpu-tenancy:kubeconfig"]
    )
    def test_a_secret_in_clear_is_refused_however_its_key_is_spelt(self, key: str, file: Path) -> None:
        file.write_text(f"{TEXT}  {key}: hunter2\n")
        with pytest.raises(SettingsError, match="must be encrypted, it holds credentials, got plain text") as caught:
            load_stack_file(file, today=TODAY)
        assert "hunter2" not in str(caught.value)

    def test_an_encrypted_value_inside_of_the_platform_is_refused(self, file: Path) -> None:
        file.write_text(TEXT.replace("nodes: [gpu-0]", "selector: {secure: abc}, nodeCount: 1"))
        with pytest.raises(SettingsError, match=r"pools\.gpu\.selector: is an encrypted value to the engine"):
            load_stack_file(file, today=TODAY)

    def test_another_programs_values_are_none_of_ours(self, file: Path) -> None:
        file.write_text(f"{TEXT}  aws:x: {{a: 1:20, b: !x y, 3: d}}\n")
        assert load_stack_file(file, today=TODAY).teams
        assert raw_config(file)


def test_a_raw_file_that_is_not_sure_what_it_says_is_refused(file: Path) -> None:
    file.write_text(TEXT.replace("gpus: 2", "gpus: 2, gpus: 3"))
    with pytest.raises(SettingsError, match="has the key 'gpus' twice"):
        raw_config(file)


def test_a_team_that_stands_twice_in_a_text_of_json_is_not_dropped(tmp_path: Path) -> None:
    """`pulumi config set` keeps a text as it is typed, and the engine hands it on so."""
    file = tmp_path / "Pulumi.one.yaml"
    file.write_text("config: {}\n")
    with pytest.raises(SettingsError) as caught:
        parse_config('{"teams": {"ml": {"pool": "a"}, "zed": {}, "ml": {"pool": "b"}}}', file, today=TODAY)
    assert str(caught.value).splitlines()[1:] == [
        "  gpu-tenancy:platform: has the key 'ml' twice; keep one of them; JSON would silently drop the first"
    ]
