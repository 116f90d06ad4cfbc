"""Plain data: nothing unknown or secret passes as known."""

from __future__ import annotations

from decimal import Decimal
from sys import float_info

import pulumi
import pytest
from pulumi_policy import proxy

from policies.plain import (
    UNKNOWN,
    Unknown,
    Unreadable,
    flag,
    get,
    mapping,
    mappings,
    maybe_number,
    number,
    plain,
    plain_properties,
    quantity,
    say,
    text,
    texts,
    whole,
)

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


def test_data_that_is_known_stays_as_it_is() -> None:
    data = {"a": [1, 2.5, "x", None, True, {"b": []}], "c": ("t",)}
    assert plain(data) == {"a": [1, 2.5, "x", None, True, {"b": []}], "c": ["t"]}


@pytest.mark.parametrize(
    "hidden",
    [
        UNKNOWN,
        proxy.UNKNOWN_BOOLEAN_VALUE,
        proxy.UNKNOWN_NUMBER_VALUE,
        proxy.UNKNOWN_STRING_VALUE,
        proxy.UNKNOWN_ARRAY_VALUE,
        proxy.UNKNOWN_ASSET_VALUE,
        proxy.UNKNOWN_ARCHIVE_VALUE,
        proxy.UNKNOWN_OBJECT_VALUE,
        "[unknown]",
        "[secret]",
        "[secret] 0123456789ab",
        {SIGNATURE: SECRET, "ciphertext": "v1:abc"},
        {SIGNATURE: OUTPUT},
        {SIGNATURE: "another", "value": 3},
        pulumi.output.Unknown(),  # type: ignore[no-untyped-call]
    ],
)
def test_every_mark_of_the_unknown_is_understood(hidden: object) -> None:
    for container in ({"a": hidden}, {"a": {"b": [hidden]}}):
        assert "UNKNOWN" in repr(plain_properties(container))
    assert isinstance(plain(hidden), Unknown)
    assert repr(plain(hidden)) == "UNKNOWN"


def test_a_secret_or_output_with_its_value_is_that_value() -> None:
    assert plain({SIGNATURE: SECRET, "value": {"a": 1}}) == {"a": 1}
    assert plain({SIGNATURE: OUTPUT, "value": [{SIGNATURE: SECRET, "value": 2}]}) == [2]


def test_proxies_of_the_sdk_become_plain_data() -> None:
    sent = {"a": 1.0, "b": proxy.UNKNOWN_NUMBER_VALUE, "c": [{"d": proxy.UNKNOWN_STRING_VALUE}, "e"]}
    assert plain_properties(proxy.unknown_checking_proxy(sent)) == {"a": 1.0, "b": UNKNOWN, "c": [{"d": UNKNOWN}, "e"]}


DATA: dict[str, object] = {
    "n": 3.0,
    "f": 2.5,
    "t": "x",
    "e": "",
    "y": True,
    "m": {"k": 1, "u": UNKNOWN},
    "l": [{"a": 1}],
    "s": ["p", "q"],
    "u": UNKNOWN,
    "lu": [UNKNOWN],
    "z": None,
    "q": "500m",
}


def test_readers_return_what_is_there() -> None:
    assert number(DATA, "n") == 3
    assert isinstance(number(DATA, "n"), int)
    assert number(DATA, "f") == 2.5
    assert whole(DATA, "n") == 3
    assert text(DATA, "t") == "x"
    assert (flag(DATA, "y"), flag(DATA, "none"), flag(DATA, "z")) == (True, False, False)
    assert get(DATA, "m", "k") == 1
    assert (get(DATA, "t", "k"), get(DATA, "none", "k"), get(DATA, "z", "k")) == (None, None, None)
    assert (mapping(DATA, "m", "none"), mappings(DATA, "none"), texts(DATA, "none")) == ({}, [], [])
    assert (mappings(DATA, "l"), texts(DATA, "s")) == ([{"a": 1}], ["p", "q"])
    assert (quantity(DATA, "q"), quantity(DATA, "n"), quantity(DATA, "none")) == (Decimal("0.5"), Decimal(3), None)
    assert maybe_number(DATA, "z") is None


@pytest.mark.parametrize("reader", [number, whole, text, flag, mapping, mappings, texts, quantity])
def test_readers_refuse_the_unknown_with_its_path(reader: object) -> None:
    for path, said in ((("u",), "u"), (("u", "deeper"), "u"), (("m", "u"), "m.u")):
        with pytest.raises(Unreadable) as raised:
            reader(DATA, *path)  # type: ignore[operator]
        assert str(raised.value) == (
            f"{said} is not known at preview, so this cannot be checked; pass a literal value, not an output"
        )


@pytest.mark.parametrize("reader", [mappings, texts])
def test_an_unknown_item_of_a_list_is_refused(reader: object) -> None:
    with pytest.raises(Unreadable, match=r"^an item of lu is not known at preview"):
        reader(DATA, "lu")  # type: ignore[operator]


@pytest.mark.parametrize("said", [float("nan"), float("inf"), float("-inf"), 10**400, -(10**400)])
def test_what_no_double_can_be_is_no_number(said: float) -> None:
    with pytest.raises(Unreadable, match=r"^n must be a number, got "):
        number({"n": said}, "n")


def test_the_largest_double_is_a_number() -> None:
    assert [number({"n": said}, "n") for said in (float_info.max, -float_info.max)] == [float_info.max, -float_info.max]


@pytest.mark.parametrize(
    ("reader", "key", "wanted"),
    [
        (number, "t", "a number"),
        (number, "y", "a number"),
        (whole, "f", "a whole number"),
        (text, "n", "text"),
        (flag, "n", "true or false"),
        (mapping, "t", "a mapping"),
        (mappings, "t", "a list of mappings"),
        (mappings, "s", "a list of mappings"),
        (texts, "l", "a list of texts"),
        (texts, "t", "a list of texts"),
        (quantity, "t", "a quantity"),
    ],
)
def test_readers_refuse_another_type_with_what_they_got(reader: object, key: str, wanted: str) -> None:
    with pytest.raises(Unreadable) as raised:
        reader(DATA, key)  # type: ignore[operator]
    assert str(raised.value).startswith(f"{key} must be {wanted}, got ")


@pytest.mark.parametrize("reader", [number, whole, text])
def test_readers_refuse_what_is_missing(reader: object) -> None:
    for path in (("none",), ("m", "none"), ("z",)):
        with pytest.raises(Unreadable) as raised:
            reader(DATA, *path)  # type: ignore[operator]
        assert str(raised.value) == f"{'.'.join(path)} is missing, so this cannot be checked; set it"
    with pytest.raises(Unreadable, match=r"^e is missing"):
        text(DATA, "e")


def test_numbers_are_said_as_people_write_them() -> None:
    assert [say(8.0), say(0.5), say(81920)] == ["8", "0.5", "81920"]
