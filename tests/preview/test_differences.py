"""One difference of two values, for engine, lab and reports."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from preview.differences import ABSENT, at, detailed_diff, differences, leaves, written


def paths(old: JsonValue, new: JsonValue) -> dict[str, str]:
    return {written(found.path): found.kind for found in differences(old, new)}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": "update"}),
        ({"a": 1}, {}, {"a": "delete"}),
        ({}, {"a": None}, {"a": "add"}),
        ({"a": 1}, {"a": True}, {"a": "update"}),
        ({"a": 4.0}, {"a": 4}, {}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": {"d": 1}}}, {"a.c": "add"}),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, {"a[1]": "update", "a[2]": "add"}),
        ({"a": [1, 2]}, {"a": [1]}, {"a[1]": "delete"}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": "update"}),
        ({"hard": {"requests.cpu": "1"}}, {"hard": {"requests.cpu": "2"}}, {'hard["requests.cpu"]': "update"}),
        ({"labels": {"a/b": "1"}}, {"labels": {}}, {'labels["a/b"]': "delete"}),
        (3, 4, {"": "update"}),
    ],
)
def test_each_place_that_differs_is_named_once(old: JsonValue, new: JsonValue, expected: dict[str, str]) -> None:
    assert paths(old, new) == expected
    back = {"add": "delete", "delete": "add", "update": "update"}
    assert paths(new, old) == {path: back[kind] for path, kind in expected.items()}


def test_a_difference_has_both_values() -> None:
    (found,) = differences({"a": [{"b": 1}]}, {"a": [{"b": 2}]})
    assert (found.path, found.old, found.new) == (("a", 0, "b"), 1, 2)
    (new,) = differences({}, {"a": 1})
    assert (new.old, new.new) == (ABSENT, 1)


def test_differences_have_the_engines_shape() -> None:
    assert detailed_diff(differences({"a": 1}, {"b": 1})) == {
        "a": {"kind": "delete", "inputDiff": True},
        "b": {"kind": "add", "inputDiff": True},
    }


def test_leaves_and_places() -> None:
    value: JsonValue = {"a": [{"b": 1}, {}], "c": None}
    assert [(written(path), leaf) for path, leaf in leaves(value)] == [("a[0].b", 1), ("a[1]", {}), ("c", None)]
    assert at(value, ("a", 0, "b")) == 1
    for nowhere in (("x",), ("a", 2), ("a", 7), ("a", "b"), ("c", "d"), ("a", 0, "b", "c")):
        assert at(value, nowhere) is ABSENT
