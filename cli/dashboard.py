"""`make dashboard`: the page of a stack, served until Ctrl-C or written as one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from cli import say
from cli.driver import Driver, Place
from cli.errors import InputError
from cli.files import write_whole, writing
from cli.look import viewer
from page.facts import Data, facts
from page.onefile import one_file
from page.server import ADDRESS, PortTakenError, Server

PORTS = range(65536)
READABLE = 0o644
"""Another user often serves the file. It contains no secret."""


def see_of(place: Place, driver: Driver) -> Callable[[], Mapping[str, Data]]:
    """Return a function that takes a snapshot of the stack and makes the page's data."""
    view = viewer(place, driver)

    def see() -> Mapping[str, Data]:
        now = view()
        found = (one for team in now.seen.teams for one in (*now.whys(team), *now.lost(team)))
        whys = (replace(one, cause=say.told(one.cause), fix=say.told(one.fix)) for one in found)
        return facts(now.seen, whys)

    return see


def write(place: Place, driver: Driver, out: Path) -> None:
    """Write the page as one file. Raises `CommandError`."""
    text = one_file(see_of(place, driver)())
    with writing(out, "choose another place: STATIC=out.html"):
        if out.exists() and not out.is_file():
            out.write_text(text, encoding="utf-8")  # a pipe or a terminal can't be written half
        else:
            write_whole(out, text, mode=READABLE)
    say.line(f"wrote {out}: one file, no server needed; it shows every team's names, so choose who gets it")


def serve(place: Place, driver: Driver, port: int) -> None:
    """Serve the page until Ctrl-C. Raises `InputError` for an invalid or a taken port."""
    if port not in PORTS:
        raise InputError(
            f"{port} is no port.", f"`make dashboard STACK={place.stack} PORT=8765`, or 0 for any free one"
        )
    try:
        server = Server(port, see_of(place, driver))
    except PortTakenError as error:
        raise InputError(
            f"port {port} of {ADDRESS} {error}: another dashboard?",
            f"`make dashboard STACK={place.stack} PORT=0` takes a free one",
        ) from None
    say.line(f"dashboard of stack {place.stack}: {server.url} (this machine alone, read-only; Ctrl-C ends it)")
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        say.line("\nthe dashboard has ended")
    finally:
        server.server_close()
