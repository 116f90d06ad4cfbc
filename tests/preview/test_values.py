"""Numbers out of a preview: what nobody may take for one is refused, and never compared."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import JsonValue

from preview.values import (
    OUTPUT_SIGNATURE,
    SECRET,
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UnreadableError,
    is_known,
    numbers_of,
    plain,
    quantity,
)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        (4, "4"),
        (0.5, "0.5"),
        (0.0000001, "0.0000001"),
        (-1, "-1"),
        (-1.0, "-1"),
        ("-1", "-1"),
        ("512Gi", str(512 * 1024**3)),
        ("1e3", "1000"),
        (2**63 - 1, str(2**63 - 1)),
    ],
)
def test_a_number_or_a_quantity_is_read(said: JsonValue, means: str) -> None:
    assert quantity(said, "gpuLimit") == Decimal(means)


@pytest.mark.parametrize(
    "said",
    [
        *(float("nan"), float("inf"), float("-inf"), 10**400, 2**63, "9" * 400, "999P999", "8Ei"),
        *(-2, -0.5, "-2", "NaN", "Infinity", "1e400", True, None, [], {}, ""),
    ],
)
def test_anything_else_is_refused(said: JsonValue) -> None:
    with pytest.raises(UnreadableError, match=r"^gpuLimit must be a number or a quantity, got .*can't be judged$"):
        quantity(said, "gpuLimit")


@pytest.mark.parametrize(
    ("wrapped", "inner"),
    [
        ({SIGNATURE_KEY: SECRET_SIGNATURE, "value": [1]}, [1]),
        ({SIGNATURE_KEY: OUTPUT_SIGNATURE, "value": {"a": 0}}, {"a": 0}),
        ({SIGNATURE_KEY: SECRET_SIGNATURE, "ciphertext": "x"}, SECRET),
        ({SIGNATURE_KEY: "another", "value": 1}, SECRET),
        ({"value": 1}, {"value": 1}),
    ],
)
def test_a_wrapped_value_is_its_plain_one_and_what_is_wrapped_otherwise_is_a_secret(
    wrapped: JsonValue, inner: JsonValue
) -> None:
    assert plain([wrapped]) == [inner]
    assert is_known(wrapped) is (inner == wrapped), "before it is unwrapped nobody can judge it"


@pytest.mark.parametrize(
    "mark",
    [
        # pulumi v3.259.0, sdk/go/common/resource/plugin/rpc.go
        *("1c4a061d-8072-4f0a-a4cb-0ff528b18fe7", "3eeb2bf0-c639-47a8-9e75-3b44932eb421"),
        *("04da6b54-80e4-46f7-96ec-b56ff0331ba9", "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2"),
        *("030794c1-ac77-496b-92df-f27374a8bd58", "e48ece36-62e2-4504-bad9-02848725956a"),
        *("dd056dcd-154b-4c76-9bd3-c8f88648b5ff", "[unknown]", "[secret]", "[secret] 12ab"),
    ],
)
def test_a_mark_in_a_values_place_is_no_value(mark: str) -> None:
    assert not is_known({"a": [mark]})
    assert is_known({"a": [f"x{mark}"]})


def test_an_output_is_told_by_the_engines_own_number() -> None:
    # pulumi sdk/go/common/resource/properties.go
    wrapped: JsonValue = {"4dabf18193072939515e22adb298388d": "d0e6a833031e9bbcd3f4e8bde6ca49a4", "value": 1}
    assert plain(wrapped) == 1


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("v1.34.4", (1, 34, 4)), ("1.35/stable", (1, 35, 0)), ("newest", None), (1.34, None), (None, None)],
)
def test_a_version_is_its_numbers(version: JsonValue, numbers: tuple[int, int, int] | None) -> None:
    assert numbers_of(version) == numbers
