"""Readers of JSON that anybody may have written: what is there is read, and anything else is empty, never an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from lenient import at, condition, items, moment, name, named, namespace, parsed, rows, table, tag_of, text, texts
from seen.numbers import finite, number

JUNK: tuple[object, ...] = (None, 3, True, "ml", [], ["ml"], [[]])
POD = {
    "metadata": {"name": "train", "namespace": "work", "finalizers": ["a", 3, "b"], "generation": 7},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, 3, {"type": "Other"}], "ready": True},
}


@pytest.mark.parametrize("junk", JUNK)
def test_what_is_something_else_is_empty(junk: object) -> None:
    for thing in (junk, {"a": junk}, {"a": {"b": junk}}):
        assert table(thing, "a", "b", "c") == {}
        assert rows(thing, "a", "b", "c") == []
        assert texts(thing, "a", "b", "c") == []
        assert text(thing, "a", "b", "c") == ""
        assert at(thing, "a", "b", "c") is None
        assert (name(thing), namespace(thing), condition(thing, "Ready"), items(thing)) == ("", "", {}, [])
        assert moment(thing, "a") is None
        assert not named(thing)


def test_what_is_there_is_read() -> None:
    assert (name(POD), namespace(POD)) == ("train", "work")
    assert table(POD, "metadata") == POD["metadata"]
    assert texts(POD, "metadata", "finalizers") == texts(["a", 3, "b"]) == ["a", "b"]
    assert rows(POD, "status", "conditions") == [{"type": "Ready", "status": "True"}, {"type": "Other"}]
    assert condition(POD, "Other") == {"type": "Other"}
    assert at(POD, "status", "ready") is True
    assert items({"items": [POD, {"metadata": {"name": 3}}, {}, 3]}) == [POD]


def test_a_number_is_told_as_it_is_and_true_is_none() -> None:
    assert text(POD, "metadata", "generation") == "7"
    assert text({"a": 0.5}, "a") == "0.5"
    assert text(POD, "status", "ready") == ""


@pytest.mark.parametrize("said", [None, 3, "", "{", "[1]", "[" * 100_000, '{"a": ' + "1" * 5000 + "}"])
def test_a_text_that_holds_no_mapping_is_empty(said: object) -> None:
    assert parsed(said) == {}
    assert parsed('{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("2026-11-26T12:00:00Z", datetime(2026, 11, 26, 12, tzinfo=UTC)),
        ("2026-11-26T12:00:00", datetime(2026, 11, 26, 12, tzinfo=UTC)),
        ("2026-11-26T12:00:00+02:00", datetime(2026, 11, 26, 12, tzinfo=timezone(timedelta(hours=2)))),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_has_a_zone(said: str, means: datetime | None) -> None:
    assert moment({"at": said}, "at") == means


def test_a_quantity_is_a_number_or_none() -> None:
    assert [number(said) for said in ("500m", "1Ki", 2, "-1", "many", None, "1e999", "9" * 400)] == [
        *(0.5, 1024.0, 2.0, -1.0),
        *(0.0, 0.0, 0.0, 0.0),
    ]
    assert finite(Decimal("2.5")) == 2.5


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        *(("nginx:1.2", "1.2"), ("nginx", ""), ("mirror:5000/nginx", ""), ("mirror:5000/a/nginx:1", "1")),
        *(("nginx:1@sha256:ab", "1"), ("nginx@sha256:ab", ""), ("", "")),
    ],
)
def test_the_tag_of_an_image_is_neither_a_port_nor_a_digest(image: str, tag: str) -> None:
    assert tag_of(image) == tag
