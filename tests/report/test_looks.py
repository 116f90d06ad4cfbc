"""What is looked for before the names of secrets are: it must miss no name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from re import _constants as op  # type: ignore[attr-defined]  # no public way to take a pattern apart
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from report.looks import _NAMING, ENDING, masked

MOST_DIGITS = 1
"""How many characters of a set or a repetition are tried: digits all mean the same."""


def spellings(parsed: Any) -> Iterator[str]:
    """Every text that a pattern without open repetitions matches, a character for each set, in lower case."""
    yield from map("".join, product(*(list(_of(what, value)) for what, value in parsed)))


def _of(what: Any, value: Any) -> Iterator[str]:
    if what is op.LITERAL:
        yield chr(value)
    elif what is op.IN:
        yield from (chr(first[0] if isinstance(first, tuple) else first) for _, first in value[:MOST_DIGITS])
    elif what is op.BRANCH:
        for branch in value[1]:
            yield from spellings(branch)
    elif what is op.SUBPATTERN:
        yield from spellings(value[3])
    elif what in (op.MAX_REPEAT, op.MIN_REPEAT):
        least, _, repeated = value
        if not least:
            yield ""
        yield from spellings(repeated)
    elif what is not op.ASSERT:
        raise AssertionError(f"{what} of the pattern is not tried here")
    else:
        yield ""


NAMES = sorted({*spellings(parser.parse(ENDING))})


def test_each_name_of_a_secret_has_a_word_that_is_looked_for_first() -> None:
    assert len(NAMES) > 500
    assert {"password", "apikey", "client_secret", "PW"} - {*NAMES} == {"client_secret"}
    assert [name for name in NAMES if not any(word in name.casefold() for word in _NAMING)] == []


@pytest.mark.parametrize("name", ["K8S_TO\N{KELVIN SIGN}EN", "PA\N{LATIN SMALL LETTER LONG S}SWORD", "Token", "DB_PW"])
def test_a_name_is_found_in_whatever_case_the_pattern_takes_it(name: str) -> None:
    assert re.search(f"(?i){ENDING}", name)
    assert masked(f"{name}=hunter2-of-mine") == "[secret]"
