"""A canary is promoted or dropped in the text: these characters, and no other."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from settings.edit import NotEditableError, drop_canary, drop_slot, promote, serve
from settings.load import load_stack_file
from tests.conftest import ROOT

HEAD = """\
# a comment above
config:
  gpu-tenancy:platform:   # and beside
    host: {provider: existing, address: "10.0.0.5"}
    teams:
      other:
        scheduler: {mode: virtual, version: v0.9.3, canary: {version: v0.12.23}}  # another's stays
      ml:
        pool: a
"""
TAIL = """\
        # the queues
        queues: {work: {gpu: 1}}


  other:key:  [1,   2]
"""
BLOCK = """\
        scheduler:
          mode: virtual
          version: "v0.14.7"  # since March
          # a newer one
          canary:
            version: v0.16.8
            # one is enough
            gpus: 1     # of eight

          gpuSharing: true
"""
WAYS = {
    "block": (
        BLOCK,
        BLOCK.replace('"v0.14.7"', "v0.16.8"),
        "          canary:\n            version: v0.16.8\n"
        "            # one is enough\n            gpus: 1     # of eight\n",
    ),
    "block, canary first": (
        "        scheduler:\n          canary: {version: v0.16.8}\n          version: v0.14.7\n"
        "          mode: virtual\n",
        "        scheduler:\n          canary: {version: v0.16.8}\n          version: v0.16.8\n"
        "          mode: virtual\n",
        "          canary: {version: v0.16.8}\n",
    ),
    "flow, last": (
        "        scheduler: {mode: virtual, version: v0.14.7, canary: {version: v0.16.8, gpus: 1}}  # two\n",
        "        scheduler: {mode: virtual, version: v0.16.8, canary: {version: v0.16.8, gpus: 1}}  # two\n",
        ", canary: {version: v0.16.8, gpus: 1}",
    ),
    "flow, in the middle": (
        "        scheduler: {mode: virtual, canary: {version: v0.16.8}, version: v0.14.7}\n",
        "        scheduler: {mode: virtual, canary: {version: v0.16.8}, version: v0.16.8}\n",
        " canary: {version: v0.16.8},",
    ),
    "flow, first": (
        "        scheduler: {canary: {version: v0.16.8}, mode: virtual, version: v0.14.7}\n",
        "        scheduler: {canary: {version: v0.16.8}, mode: virtual, version: v0.16.8}\n",
        "canary: {version: v0.16.8}, ",
    ),
    "flow, a line each": (
        "        scheduler: {\n          mode: virtual,  # own\n          version: v0.14.7,  # old\n"
        "          canary: {version: v0.16.8},\n        }\n",
        "        scheduler: {\n          mode: virtual,  # own\n          version: v0.16.8,  # old\n"
        "          canary: {version: v0.16.8},\n        }\n",
        "          canary: {version: v0.16.8},\n",
    ),
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("way", WAYS)
def test_only_the_canary_and_the_version_change(way: str, ends: str) -> None:
    before, raised, canary = WAYS[way]
    assert raised.count(canary) == 1, "the test itself"
    text, goes = ((HEAD + part + TAIL).replace("\n", ends) for part in (before, raised))
    cut = canary.replace("\n", ends)
    assert promote(text, "ml") == goes.replace(cut, "")
    assert drop_canary(text, "ml") == text.replace(cut, "")


def test_a_comma_before_the_last_key_goes_and_the_comment_behind_it_stays() -> None:
    part = "        scheduler: {\n          version: v1,  # old\n          canary: {version: v2}\n        }\n"
    kept = "        scheduler: {\n          version: v1  # old\n        }\n"
    assert drop_canary(HEAD + part + TAIL, "ml") == HEAD + kept + TAIL


@pytest.mark.parametrize(
    "part",
    [
        "        scheduler: &same {mode: virtual, version: v1, canary: {version: v2}}\n        copy: *same\n",
        "        base: &base {version: v1, canary: {version: v2}}\n        scheduler: {<<: *base, mode: virtual}\n",
        "        base: &base {version: v2}\n        scheduler: {version: v1, mode: virtual, canary: {<<: *base}}\n",
        "        scheduler: {mode: virtual, version: v1}\n",
    ],
)
def test_what_stands_in_several_places_is_refused(part: str) -> None:
    with pytest.raises(NotEditableError):
        promote(HEAD + part + TAIL, "ml")


def test_tabs_between_a_key_and_its_value_stay_as_they_are() -> None:
    text = (
        HEAD + BLOCK.replace('version: "v0.14.7"  #', 'version:\t"v0.14.7"\t#').replace("gpus: 1 ", "gpus:\t1\t") + TAIL
    )
    edited = promote(text, "ml")
    assert "version:\tv0.16.8\t# since March" in edited
    assert "canary:" not in edited.split("      ml:")[1]
    assert drop_canary(text, "ml").count("\t") == 2


def test_a_text_that_is_none_to_its_own_reader_is_refused_and_ends_in_no_traceback() -> None:
    with pytest.raises(NotEditableError):
        drop_canary(HEAD + BLOCK + TAIL + "---\nmore: 1\n", "ml")


def test_prods_canary_is_promoted_and_the_file_still_says_a_platform(tmp_path: Path) -> None:
    text = (ROOT / "tests/stacks/Pulumi.prod.yaml").read_text()
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(promote(text, "speech"))
    scheduler = load_stack_file(file).teams["speech"].scheduler
    assert (scheduler.version, scheduler.canary) == ("v0.16.8", None)
    changed = [line for line in difflib.ndiff(text.splitlines(), file.read_text().splitlines()) if line[0] in "+-"]
    assert len(changed) == 3, changed


PAIRS = {
    "block": (
        "blueGreen:\n          serves: {}  # now\n          blue: {{}}\n          # newer\n"
        "          green: {{version: v2}}\n",
        "          green: {version: v2}\n",
    ),
    "flow": ("blueGreen: {{green: {{version: v2}}, blue: {{}}, serves: {}}}  # two\n", "green: {version: v2}, "),
    "flow, quoted": ("blueGreen: {{blue: {{}}, green: {{version: v2}}, serves: '{}'}}\n", " green: {version: v2},"),
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("way", PAIRS)
def test_only_who_serves_changes_and_only_the_slot_goes(way: str, ends: str) -> None:
    part, slot = PAIRS[way]
    one, other = ((HEAD + "        " + part.format(serves) + TAIL).replace("\n", ends) for serves in ("blue", "green"))
    assert serve(one, "ml", "green") == other.replace("'green'", "green")
    assert drop_slot(one, "ml", "green") == one.replace(slot.replace("\n", ends), "")


@pytest.mark.parametrize(
    "part",
    [
        "        blueGreen: &same {serves: blue, blue: {}, green: {}}\n        copy: *same\n",
        "        base: &base {serves: blue, blue: {}}\n        blueGreen: {<<: *base}\n",
    ],
)
def test_slots_that_stand_in_several_places_are_left_to_the_user(part: str) -> None:
    with pytest.raises(NotEditableError):
        serve(HEAD + part + TAIL, "ml", "green")
    with pytest.raises(NotEditableError):
        drop_slot(HEAD + part + TAIL, "ml", "green")
