"""Values without quotes: one meaning for every reader, or refused."""

from __future__ import annotations

import json
from datetime import date, datetime

import pytest
import yaml

from settings.scalars import resolve

ENGINE: dict[str, object] = {
    # what yaml.v3 v3.0.1 and the engine's second reading make of a value (recorded; JSON)
    "true": True, "True": True, "FALSE": False, "~": None, "null": None, "NULL": None, "": None,
    "0": 0, "1": 1, "+1": 1, "-1": -1, "-0": 0, "9223372036854775807": 9223372036854775807,
    "1.5": 1.5, "-0.5": -0.5, ".5": 0.5, "1.": 1, "2.0": 2, "0.0": 0, "-0.0": 0, "1000000.5": 1000000.5,
    "2026-12-31": "2026-12-31 00:00:00 +0000 UTC", "2026-02-30": "2026-02-30", "0000-01-01": "0000-01-01",
    "y": "y", "n": "n", "1:80": "1:80", "0x": "0x", "_1": "_1", "inf": "inf", "nan": "nan", "0.36.1": "0.36.1",
    "10.0.0.5": "10.0.0.5", "512Gi": "512Gi", "1g.5gb": "1g.5gb", "=": "=", "e5": "e5", ".": ".", "0o8": "0o8",
    "1,000": "1,000", "v0.9.3": "v0.9.3", "a b": "a b", "1e": "1e", "0b2": "0b2", "--1": "--1", "1_0m": "1_0m",
}  # fmt: skip

REFUSED: dict[str, str] = {
    # some reader takes them for a number, a boolean or a time, and some other for something else
    **dict.fromkeys(("yes", "Yes", "YES", "on", "On"), "write true, or put it in quotes"),
    **dict.fromkeys(("no", "No", "off", "OFF"), "write false, or put it in quotes"),
    **dict.fromkeys(("1:20", "12:30:45", "1:2:3.5", "-1:20", "01", "08", "007", "00", "0o17", "0O17"), "decimal"),
    **dict.fromkeys(("0b11", "0B11", "0x1F", "0X1F", "0x_", "1_000", "+_1", "1__2", "0_", "0.1_0"), "decimal"),
    **dict.fromkeys(("1e3", "1E3", "1e+3", "1.5e3", "1.5e+3", "5.e1", ".5e3", "-.5", "+.5", "1e400"), "decimal"),
    **dict.fromkeys((".inf", "-.Inf", "+.INF", ".nan", ".NaN"), "write a number"),
    **dict.fromkeys(("2026-1-2", "2026-12-31T00:00:00Z", "2026-12-31t00:00:00Z", "2026-12-31 10:00:00"), "YYYY-MM-DD"),
    **dict.fromkeys(("9223372036854775808", "-9223372036854775809", "9" * 5000, "1" * 20 + ".5"), "smaller number"),
}


@pytest.mark.parametrize("text", ENGINE)
def test_what_is_taken_is_what_the_engine_takes_it_for(text: str) -> None:
    meant = resolve(text)
    assert meant.rule is None
    found = f"{meant.value} 00:00:00 +0000 UTC" if isinstance(meant.value, date) else meant.value
    assert json.dumps(found) == json.dumps(ENGINE[text])


@pytest.mark.parametrize("text", REFUSED)
def test_what_readers_differ_on_is_refused_with_the_fix(text: str) -> None:
    meant = resolve(text)
    assert meant.rule is not None
    assert REFUSED[text] in meant.fix
    assert meant.value == text


@pytest.mark.parametrize("text", [text for text in ENGINE if text not in ("0000-01-01", "2026-02-30", "=")])
def test_what_is_taken_is_the_same_to_yaml_1_1(text: str) -> None:
    theirs = yaml.safe_load(f"x: {text}")["x"]
    assert not isinstance(theirs, datetime)
    assert theirs == resolve(text).value
    assert isinstance(theirs, bool) is isinstance(resolve(text).value, bool)
