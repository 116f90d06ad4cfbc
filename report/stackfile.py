"""Whether this pull request's stack file may be previewed with the stack's credentials.

`python -m report.stackfile --base FILE --head FILE`. Exit codes: 0 it may, 1 it may not, 2 could not tell.

Owns: which differences between base and head the base branch's program may preview with the stack's credentials. Not
allowed is everything that makes the program talk to another place, or decrypt with another key: a person with the
credentials previews that by hand.
Leaves to others: whether the file is valid (`settings`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import JsonValue, TypeAdapter

from report.command import NO, YES, parser_for, run
from report.redact import Redactor, is_secret_key
from settings.load import PLATFORM_KEY, raw_config
from settings.problems import SettingsError, escaped

_REFUSED: Final = {
    "host": "where the program connects to",
    "artifacts": "where charts and images come from; the engine renders charts with the cluster's credentials",
}
"""Sections of the platform whose changes are never previewed with credentials, and why."""

_JSON: Final[TypeAdapter[JsonValue]] = TypeAdapter(JsonValue)


class StackFileError(ValueError):
    """The file is not a stack file."""


def read_raw(path: Path) -> dict[str, JsonValue]:
    """The whole file as plain data, as the engine has it: anchors filled in, merge keys resolved.

    Raises `StackFileError`. Its text never quotes the file, which may contain secrets.
    """
    if not path.exists():
        raise StackFileError(f"{path.name}: no such file")
    try:
        data = _JSON.validate_python(raw_config(path))
    except SettingsError as error:
        line = error.problems[0].line
        raise StackFileError(f"{path.name}: is not readable YAML{f' (line {line})' if line else ''}") from None
    if not isinstance(data, dict):
        raise StackFileError(f"{path.name}: is not a stack file: a mapping with `config` belongs there")
    return data


def learn_secrets(raw: dict[str, JsonValue], redactor: Redactor) -> None:
    """Remember the secrets of a stack file: encrypted values, and config with a secret's name.

    The platform's own section is no secret: the readers of the report see that file. So none of its words is ever
    removed from the report.
    """
    config = raw.get("config")
    for key, value in config.items() if isinstance(config, dict) else ():
        if key == PLATFORM_KEY:
            redactor.keep_all(value)
            continue
        for encrypted in _encrypted(value):
            redactor.learn(encrypted)
        if is_secret_key(key.rsplit(":", 1)[-1]):
            redactor.learn_likely(value)
    redactor.learn(raw.get("encryptionsalt"))
    redactor.learn(raw.get("encryptedkey"))


def _encrypted(value: JsonValue) -> Iterator[JsonValue]:
    """Yield what Pulumi encrypted: `{secure: ...}`, at any depth."""
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            yield value["secure"]
        for item in value.values():
            yield from _encrypted(item)
    elif isinstance(value, list):
        for item in value:
            yield from _encrypted(item)


def refusals(base: dict[str, JsonValue], head: dict[str, JsonValue]) -> tuple[str, ...]:
    """Why head's file must not be previewed with the credentials; empty where it may. Names keys, never values."""
    found = [
        f"`{key}` differs: only `config` may"
        for key in sorted({*base, *head} - {"config"})
        if base.get(key) != head.get(key)
    ]
    before, after = base.get("config"), head.get("config")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return (*found, "`config` is missing or no mapping in base or head")
    found += [
        f"`config.{key}` differs: only `{PLATFORM_KEY}` may"
        for key in sorted({*before, *after} - {PLATFORM_KEY})
        if before.get(key) != after.get(key)
    ]
    old, new = before.get(PLATFORM_KEY), after.get(PLATFORM_KEY)
    if not isinstance(old, dict) or not isinstance(new, dict):
        return (*found, f"`config.{PLATFORM_KEY}` is missing or no mapping in base or head")
    found += [f"`{PLATFORM_KEY}.{key}` differs: {why}" for key, why in _REFUSED.items() if old.get(key) != new.get(key)]
    return tuple(found)


def _admit(options: argparse.Namespace, _: Redactor) -> int:
    found = refusals(read_raw(options.base), read_raw(options.head))
    if not found:
        print("may be previewed with the credentials: the same host, the same places of charts and images")
        return YES
    lines = [escaped(f"not with the credentials: {reason}") for reason in found]
    print("\n".join([*lines, "who has the credentials previews it by hand (docs/pull-request.md)"]), file=sys.stderr)
    return NO


def main(arguments: Sequence[str] | None = None) -> int:
    parser = parser_for("report.stackfile", __doc__)
    parser.add_argument("--base", type=Path, required=True, help="the base branch's stack file")
    parser.add_argument("--head", type=Path, required=True, help="the pull request's")
    return run(parser, arguments, _admit)


if __name__ == "__main__":
    sys.exit(main())
