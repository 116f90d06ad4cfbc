"""One number of a stack file changed for a moment, in its text: comments, quotes and the rest stay as they are.

The file is the user's: it is replaced whole or not at all, a drill that is killed leaves it with one number changed
and nothing lost, and what somebody else wrote into it meanwhile is not taken back.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from cli.files import write_whole
from settings.reader import read_text

_TEAMS: Final = ("config", "gpu-tenancy:platform", "teams")


class NotChangeableError(RuntimeError):
    """The text says it in a way that one place can't change, or is another by now."""


@contextmanager
def with_pods(file: Path, team: str, pods: int) -> Iterator[None]:
    """The stack file with so many pods for a team; its old text again at the end. Raises `NotChangeableError`."""
    file = file.resolve()
    # no translated line ends
    text = file.read_bytes().decode()
    changed = edited(text, team, pods)
    mode = stat.S_IMODE(file.stat().st_mode)
    write_whole(file, changed, mode=mode)
    try:
        yield
    finally:
        if file.read_bytes().decode() != changed:
            message = f"{file.name} was written by another meanwhile: put teams.{team}.resources.pods back there"
            raise NotChangeableError(message)
        write_whole(file, text, mode=mode)


def edited(text: str, team: str, pods: int) -> str:
    """The text with so many pods for a team. Raises `NotChangeableError`."""
    what = f"teams.{team}.resources.pods"
    resources = _at(yaml.compose(text, Loader=yaml.SafeLoader), (*_TEAMS, team, "resources"))
    here = _at(resources, ("pods",))
    if here is not None:
        found = text[: here.start_mark.index] + str(pods) + text[here.end_mark.index :]
    elif isinstance(resources, yaml.MappingNode) and resources.value:
        first = resources.value[0][0].start_mark
        between = ", " if resources.flow_style else "\n" + " " * first.column
        found = f"{text[: first.index]}pods: {pods}{between}{text[first.index :]}"
    else:
        message = f"{what} can't be changed in the text"
        raise NotChangeableError(message)
    wanted = read_text(text).value
    place = wanted
    for key in (*_TEAMS, team, "resources"):
        place = place[key] if isinstance(place, dict) else None
    if isinstance(place, dict):
        place["pods"] = pods
    # an anchor or a merge key may say it in several places
    if read_text(found).value != wanted:
        message = f"{what} stands in several places of the file, by an anchor or a merge key"
        raise NotChangeableError(message)
    return found


def _at(node: yaml.Node | None, path: tuple[str, ...]) -> yaml.Node | None:
    for key in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for found, value in pairs if found.value == key), None)
    return node
