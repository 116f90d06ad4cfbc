"""`promote` and `drop-canary`, for a canary and for a slot that does not serve: edit the stack file's text, and show
the difference. The cluster is not touched.

Owns: what in the last run forbids it, the messages. Leaves to others: which characters change (`settings/edit.py`).
"""

from __future__ import annotations

import difflib
import stat
from collections.abc import Callable
from typing import Final

from cli import say
from cli.driver import Driver, Place
from cli.errors import CommandError, InputError
from cli.files import write_whole, writing
from cli.guards.serves import PASSED
from components.team.tenant import resolve
from settings.blue_green import SlotName
from settings.edit import NotEditableError, drop_canary, drop_slot, promote, serve
from settings.tenants import CANARY_SUFFIX, serving, slot_name, tenants

_FAILED: Final = "fail"


def promoted(place: Place, team: str, driver: Driver) -> None:
    """Give the team its canary's version, and remove the canary from the file. With `blueGreen` the other slot serves,
    and both stay. Raises `CommandError`, also where the canary's last check failed; then the file is unchanged.
    """
    if slot := _slot(place, team, "promote"):
        _let_serve(place, team, slot, driver)
        return
    canary = _canary(place, team, "promote")
    verdict = _verdict(driver, canary, _version(place, team))
    if verdict == _FAILED:
        raise CommandError(
            f"the last check of {canary} failed, so it is not promoted.",
            f"`make status STACK={place.stack}` shows it; `make drop-canary STACK={place.stack} TEAM={team}` takes it "
            "out; or write the version by hand",
        )
    _edit(place, team, promote)
    if verdict not in ("pass", "warn"):
        say.line(f"the check of {canary} has not passed here: {verdict or 'its verdict is not known'}")
    say.line(
        f"team {team} takes the version of {canary}, which is removed; its limits stay\n"
        f"next: `make preview STACK={place.stack}` says what that does, `make up STACK={place.stack}` does it"
    )


def dropped(place: Place, team: str) -> None:
    """Remove the team's canary from the file. Raises `CommandError`; then the file is unchanged."""
    if slot := _slot(place, team, "drop-canary"):
        _edit(place, team, lambda text, name: drop_slot(text, name, slot), "blueGreen")
        say.line(
            f"{slot_name(team, slot)} is removed with all that is in it, {serving(team, place.platform.teams[team])} "
            f"serves alone; its limits stay\nnext: `make preview STACK={place.stack}`, `make up STACK={place.stack}`"
        )
        return
    canary = _canary(place, team, "drop-canary")
    _edit(place, team, drop_canary)
    say.line(
        f"{canary} is removed, team {team} keeps its version; its limits stay\n"
        f"next: `make preview STACK={place.stack}`, `make up STACK={place.stack}`"
    )


def _let_serve(place: Place, team: str, slot: SlotName, driver: Driver) -> None:
    goes, comes = serving(team, place.platform.teams[team]), slot_name(team, slot)
    verdict = _verdict(driver, comes, tenants(place.platform)[comes].scheduler.version)
    if verdict not in PASSED and resolve(place.platform)[comes].is_checked:
        raise CommandError(
            f"the last check of {comes} has not passed ({verdict or 'not known'}), so it does not serve.",
            f"`make up STACK={place.stack}` checks it, `make status STACK={place.stack}` shows it; "
            f"`make drop-canary STACK={place.stack} TEAM={team}` takes it out",
        )
    _edit(place, team, lambda text, name: serve(text, name, slot), "blueGreen")
    say.line(
        f"{comes} serves team {team} with the team's limits, {goes} stays beside it with few GPUs\nnext: `make preview "
        f"STACK={place.stack}`, `make up STACK={place.stack}`, `make kubeconfig STACK={place.stack} TEAM={team}` for "
        f"the team; `make promote STACK={place.stack} TEAM={team}` is the way back"
    )


def _slot(place: Place, team: str, command: str) -> SlotName | None:
    """The slot of a team's `blueGreen` that does not serve; None for a team without `blueGreen`. Raises `InputError`
    where the slot does not exist.
    """
    found = place.platform.teams.get(team)
    if found is None or found.blue_green is None:
        return None
    other = found.blue_green.other
    if other not in found.blue_green.slots:
        raise InputError(
            f"team {team} has only one virtual cluster in {place.stack_file.name}.",
            f"write teams.{team}.blueGreen.{other} with its version, `make up STACK={place.stack}`, then "
            f"`make {command} STACK={place.stack} TEAM={team}`",
        )
    return other


def _canary(place: Place, team: str, command: str) -> str:
    with_one = [
        name
        for name, found in place.platform.teams.items()
        if found.scheduler.canary is not None or (found.blue_green and found.blue_green.other in found.blue_green.slots)
    ]
    if team in with_one:  # teams with slots do not come here
        return team + CANARY_SUFFIX
    there = team in place.platform.teams
    got = f"team {team} has no canary" if there else f"there is no team {team!r}" if team else "no team is named"
    raise InputError(
        f"{got} in {place.stack_file.name}.",
        f"`make {command} STACK={place.stack} TEAM=<team>` with one of: {', '.join(with_one) or '(none has a canary)'}",
    )


def _version(place: Place, team: str) -> str | None:
    canary = place.platform.teams[team].scheduler.canary
    return canary.version if canary is not None else None


def _verdict(driver: Driver, canary: str, version: str | None) -> str | None:
    """The verdict of the canary's last check; failed where anything of the canary failed. None where it is not known: a
    check of another version than the file's does not count.
    """
    try:
        driver.ready()
        state = driver.states().get(canary)
    except CommandError as error:
        say.line(f"the last run can't be asked: {error.cause}")
        return None
    if state is None or state.scheduler_version not in (None, version):
        return None
    return _FAILED if state.failed else state.verdict


def _edit(place: Place, team: str, change: Callable[[str, str], str], section: str = "scheduler") -> None:
    path, name = place.stack_file.resolve(), place.stack_file.name
    try:
        with writing(name, "check the file's rights"):
            text = path.read_bytes().decode()
            edited = change(text, team)
            write_whole(path, edited, mode=stat.S_IMODE(path.stat().st_mode))
    except NotEditableError:
        raise CommandError(
            f"{name} says the {section} of team {team} by an anchor, a merge key or in several places.",
            f"edit teams.{team}.{section} there by hand",
        ) from None
    lines = difflib.unified_diff(text.splitlines(), edited.splitlines(), name, name, lineterm="")
    say.result("\n".join(lines))
