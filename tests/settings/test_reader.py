"""Reading the text of a stack file: any bytes end in data or in one line, after a bounded amount of work."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from settings import reader
from settings.problems import SettingsError
from settings.reader import MOST_BYTES, MOST_NODES, read_stack_file
from settings.values import Value

MEMORY = 64 * 1024 * 1024
"""Bytes at most while a file is read: some 60 for each of the largest file's."""


def read(folder: Path, content: str | bytes) -> reader.StackText:
    file = folder / "Pulumi.unit.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_stack_file(file)


def value(folder: Path, content: str | bytes) -> Value:
    return read(folder, content).value


def refusal(folder: Path, content: str | bytes) -> str:
    """The one line that says why nothing can be read."""
    with pytest.raises(SettingsError) as caught:
        read(folder, content)
    head, line = str(caught.value).split("\n")
    assert head == "Pulumi.unit.yaml: 1 mistake, nothing was changed"
    assert line.isprintable()
    return line.removeprefix("  Pulumi.unit.yaml")


def told(folder: Path, content: str) -> list[str]:
    """What is said about a text that can be read."""
    return [problem.text("", {}) for problem in read(folder, content).problems]


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 9)
)
MERGE_BOMB = "a0: &a0 {x: 1}\n" + "".join(
    f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 9)
)
OFTEN = "a: &a\n" + "".join(f"  k{n}: v\n" for n in range(900)) + "b: [" + "*a, " * 90 + "*a]\n"
LARGE = ": is larger than 1024 KiB; divide the teams among several stacks"
MANY = "has more than 50,000 keys and values"
DEEP = ": is nested deeper than 40 levels"


class TestBounds:
    """What is too much is told before it is read."""

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            pytest.param("a: b\n" * (MOST_BYTES // 5 + 1), LARGE, id="text of 1 MiB"),
            pytest.param(b"\x00" * (MOST_BYTES + 1), LARGE, id="NUL of 1 MiB"),
            pytest.param("".join(f"k{n}: v\n" for n in range(MOST_NODES)), MANY, id="keys", marks=pytest.mark.fuzz),
            pytest.param("a: [" + "1," * MOST_NODES + "1]", MANY, id="many values", marks=pytest.mark.fuzz),
            pytest.param("a: " + "[" * 500 + "]" * 500, f":1{DEEP}; take levels out", id="deep list"),
            pytest.param("a: " + "{a: " * 500, f":1{DEEP}", id="deep mapping"),
            pytest.param("".join(f"{'  ' * level}a:\n" for level in range(500)), f":41{DEEP}", id="deep block"),
            pytest.param("- " * 500 + "a", f":1{DEEP}", id="deep entries"),
            pytest.param("? " * 500 + "a", f":1{DEEP}", id="deep keys"),
            pytest.param(BOMB, "consists of little but copies of its anchors", id="nine of nine"),
            pytest.param(
                MERGE_BOMB, f"{MANY} when its anchors are filled in", id="merges of merges", marks=pytest.mark.fuzz
            ),
            pytest.param(OFTEN, "anchors", id="a large anchor often", marks=pytest.mark.fuzz),
        ],
    )
    def test_it_ends_in_one_line_and_in_little_memory(self, content: str | bytes, said: str, tmp_path: Path) -> None:
        tracemalloc.start()
        try:
            line = refusal(tmp_path, content)
            assert tracemalloc.get_traced_memory()[1] < MEMORY
        finally:
            tracemalloc.stop()
        assert said in line

    def test_reading_stops_where_the_bound_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = 0

        def counted(text: str, Loader: type[yaml.SafeLoader]) -> Iterator[yaml.Event]:  # noqa: N803 - PyYAML's name
            nonlocal seen
            for event in original(text, Loader=Loader):
                seen += 1
                yield event

        original = yaml.parse
        monkeypatch.setattr(yaml, "parse", counted)
        refusal(tmp_path, "a: [" + "1," * (MOST_BYTES // 2 - 10))
        assert seen < MOST_NODES + 10

    def test_a_number_of_five_thousand_digits_is_a_text_with_a_mistake(self, tmp_path: Path) -> None:
        [line] = told(tmp_path, f"a: {'9' * 5000}\n")
        assert "has more digits than a number keeps (64 bits)" in line
        assert len(line) < 300

    def test_three_hundred_teams_are_not_too_much(self, tmp_path: Path) -> None:
        team = "{pool: p, scheduler: {mode: virtual, version: v0.9.3}, resources: {gpus: {quota: 1, limit: 2}}}"
        read_value = value(tmp_path, "".join(f"t{n}: {team}\n" for n in range(300)))
        assert isinstance(read_value, dict)
        assert len(read_value) == 300


class TestText:
    """What the bytes are."""

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"a: \xff\xfe", ":1: can't be read (it is not UTF-8 text); save it as UTF-8"),
            ("a: b".encode("utf-16"), ":1: can't be read (it is not UTF-8 text)"),
            (b"a: b\nc: d\x00", ":2: has a character that can't be seen, got U+0000; remove it"),
            ("a: \x1b[31m", ":1: has a character that can't be seen, got U+001B"),
            ("a:\n\t- b", ":2: is not valid YAML: found character that cannot start any token"),
            ("a: [b", "is not valid YAML: "),
            ("a: &a [*a]", ":1: has an anchor that holds itself, got '*a'; write out what is meant"),
            ("a: &a {b: {c: *a}}", "has an anchor that holds itself"),
            ("a: *b", ":1: names an anchor that is not above it, got '*b'; write the anchor first"),
            ("a: {<<: [1]}", ":1: merges (<<) something that is no mapping"),
            ("? [a]\n: b", ":1: has a key that is not plain text; write a name"),
            ("? {a: b}\n: c", ":1: has a key that is not plain text"),
            ("a: &x b\n*x : c", ":2: has a key that is not plain text"),
        ],
    )
    def test_what_nobody_can_read_is_told_with_its_line(self, content: str | bytes, said: str, tmp_path: Path) -> None:
        assert said in refusal(tmp_path, content)

    def test_a_byte_order_mark_is_taken_away_as_the_engine_does(self, tmp_path: Path) -> None:
        assert value(tmp_path, b"\xef\xbb\xbfa: b\n") == {"a": "b"}

    def test_what_is_no_file_is_not_opened(self, tmp_path: Path) -> None:
        for name, make in (("Pulumi.folder.yaml", Path.mkdir), ("Pulumi.pipe.yaml", os.mkfifo)):
            make(tmp_path / name)
            with pytest.raises(SettingsError, match="is no file; make it a text file"):
                read_stack_file(tmp_path / name)

    def test_a_path_that_can_be_no_path_is_one_line(self) -> None:
        with pytest.raises(SettingsError, match="1 mistake"):
            read_stack_file(Path("Pulumi.\x00.yaml"))


class TestMistakesBesideData:
    """What is wrong with a part leaves the rest readable."""

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("a: 1\na: 2\n", "a' twice (first on line 1); keep one of them; YAML would silently drop the first"),
            ("a: {b: 1, 'b': 2}\n", "a: has the key 'b' twice"),
            ("<<: {a: 1}\n<<: {b: 1}\n", "has the key '<<' twice (first on line 1)"),
            ("a: !!int abc\n", "a: has the tag '!!int'; remove it"),
            ("a: !!binary aGk=\n", "a: has the tag '!!binary'"),
            ("a: !!python/object/apply:os.system [id]\n", "a: has the tag '!!python/object/apply:os.system'"),
            ("a: !x b\n", "a: has the tag '!x'"),
            ("a: ! b\n", "a: has the tag '!'"),
            ("!!str a: b\n", "a: has a key that is no text to every reader, got 'a'; remove its tag"),
            ("1: a\n", "1: has a key that is no text to every reader, got '1'; put it in quotes: '1'"),
            ("yes: a\n", "yes: has a key that is no text to every reader"),
            ("~: a\n", "~: has a key that is no text to every reader"),
            ("2026-12-31: a\n", "2026-12-31: has a key that is no text to every reader"),
            ("a: b # \u202e", ":1: has a character that can't be seen, got U+202E"),
            ("a: b\u0085c: d", ":1: has a character that can't be seen, got U+0085"),
            ("a: b\u2028", ":1: has a character that can't be seen, got U+2028"),
            ("a: b\n---\nc: d", ":2: holds more than one document; remove the line ---: only the first is used"),
            ("a: b\n---\nc: [", ":2: holds more than one document"),
            ("%YAML 1.1\n---\na: b", "has a directive (%); remove it"),
            ("%TAG ! tag:x,2000:\n---\na: b", "has a directive (%); remove it"),
            ("'<<': {a: b}", "has the key '<<' in quotes or with a tag, which is a merge to the engine; rename it"),
            ("!!merge <<: {a: b}", "has the key '<<' in quotes or with a tag"),
            ("a: [b?]\n", "a[0]: has a '?' in a text without quotes between brackets or braces"),
            ("{a?: b}\n", "a?: has a '?' in a text without quotes"),
        ],
    )
    def test_it_is_told_once_with_its_place(self, content: str, said: str, tmp_path: Path) -> None:
        [line] = told(tmp_path, content)
        assert said in line

    def test_what_an_anchor_holds_is_told_once_wherever_it_goes(self, tmp_path: Path) -> None:
        assert len(told(tmp_path, "a: &a {b: yes}\nc: *a\nd: [*a, *a]\n")) == 1

    def test_a_question_mark_is_fine_in_quotes_and_outside_of_brackets(self, tmp_path: Path) -> None:
        assert told(tmp_path, "a: why?\nb: ['why?']\n") == []


class TestMerges:
    """Merge keys mean what they mean to the engine."""

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"x": 1, "y": 3}),
            ("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}", {"x": 1, "y": 3}),
            ("a: &a {x: 1}\nb: {<<: [{x: 2, y: 2}, *a]}", {"x": 2, "y": 2}),
            ("a: &a {x: 1}\nc: &c {<<: *a, y: 2}\nb: {<<: *c}", {"x": 1, "y": 2}),
            ("a: &a [{x: 1}, {x: 2}]\nb: {<<: *a}", {"x": 1}),
            ("b: {<<: {}}", {}),
        ],
    )
    def test_a_mappings_own_keys_go_first_then_the_first_merged(
        self, content: str, expected: Value, tmp_path: Path
    ) -> None:
        read_value = value(tmp_path, content)
        assert isinstance(read_value, dict)
        assert read_value["b"] == expected
