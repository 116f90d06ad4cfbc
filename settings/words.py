"""The fixes that lead from a wrong name to a right one. Pure: no Pulumi import."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from capacity import listed
from settings.problems import Path, Problem, shown

_LONGEST_WORD: Final = 100
"""Characters. A longer text resembles no name of ours, and takes long to compare."""

_NUMBERS: Final = re.compile(r"v?([0-9]{1,9})\.([0-9]{1,9})(?:\.([0-9]{1,9}))?")


@lru_cache(maxsize=1024)
def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """Return the known name that a mistyped one resembles, whatever its case, `_` and `-`; None if there is none."""
    if len(word) > _LONGEST_WORD:
        return None
    by_folded = {_folded(name): name for name in known}
    near = get_close_matches(_folded(word), list(by_folded), n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def _folded(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def choose(word: str, known: Sequence[str]) -> str:
    """Return the fix for a name that is not one of these."""
    near = nearest(word, tuple(known))
    if near:
        return f"did you mean {near!r}?"
    return f"write one of {listed(known)}" if known else "there is none to choose from"


def nearest_version(word: str, known: Sequence[str]) -> str | None:
    """Return the known version that is nearest to this one, before or after it.

    v0.17.0 is near v0.16.8 and far from v0.7.11, which looks more alike. Of two equally far ones the newer is taken.
    """
    wanted = _parts(word)
    candidates = {name: parts for name in known if (parts := _parts(name)) is not None}
    if wanted is None or not candidates:
        return nearest(word, tuple(known))

    def distance(name: str) -> list[int]:
        return [abs(mine - theirs) for mine, theirs in zip(wanted, candidates[name], strict=True)]

    in_order = sorted(candidates, key=lambda name: candidates[name])
    before = [name for name in in_order if candidates[name] <= wanted][-1:]
    after = [name for name in in_order if candidates[name] > wanted][:1]
    return min([*after, *before], key=distance)


def _parts(version: str) -> tuple[int, int, int] | None:
    match = _NUMBERS.match(version)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def choose_version(word: str, known: Sequence[str]) -> str:
    """Return the fix for a version that is not one of these."""
    near = nearest_version(word, known)
    return f"did you mean {near!r}?" if near else f"write one of {listed(known)}"


def known_version(what: str, version: str, table: Iterable[str], path: Path) -> Iterator[Problem]:
    """Yield the problem of a version that is not in the table."""
    known = tuple(table)
    if version not in known:
        yield Problem(
            path=path,
            rule=f"is not a {what} that this program knows ({', '.join(known)})",
            got=shown(version),
            fix=choose_version(version, known),
        )
