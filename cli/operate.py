"""The commands for operating a stack: dashboard, usage, fences.

Owns: their options, and what each needs of the host.
Leaves to others: what they do (`dashboard.py`, `usage.py`, `fence.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lightkube import Client

from cli import say
from cli.begin import begin
from cli.cluster import connected
from cli.driver import Driver, Place
from cli.look import viewer

DASHBOARD_PORT: Final = 8765
NOTHING: Final = "no node is fenced, and none has a fault that is seen"

Run = Callable[[argparse.Namespace, Path], None]
"""Runs a command on the project in a folder."""


def add_commands(add: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """Add the commands to the command line. `add` takes a name, what runs it, and what it does in words."""

    def dashboard(options: argparse.Namespace, root: Path) -> None:
        from cli.dashboard import serve, write  # imported only where it serves

        place, driver, _host = begin(options, root, must_reach=False)
        if options.static:
            write(place, driver, root / options.static)
        else:
            serve(place, driver, options.port)

    def fence(options: argparse.Namespace, root: Path) -> None:
        from cli.fence import fence, out_of_order

        with _nodes(options, root) as (place, driver, client):
            if not options.node:
                lines = out_of_order(client, place.platform, viewer(place, driver)().seen.teams) or [NOTHING]
            else:
                lines = fence(client, place.platform, options.node, options.reason, datetime.now(UTC))
            say.result("\n".join(lines))

    def unfence(options: argparse.Namespace, root: Path) -> None:
        from cli.fence import unfence

        with _nodes(options, root) as (place, _driver, client):
            say.result("\n".join(unfence(client, place.platform, options.node)))

    def usage(options: argparse.Namespace, root: Path) -> None:
        from cli.usage import account_of, as_csv, as_json, as_table, service_of, span_of

        span = span_of(options.since)
        if options.prometheus:
            service_of(options.prometheus)  # report wrong input before anything is asked
        place, driver, host = begin(options, root, must_reach=False)
        found = account_of(
            viewer(place, driver)().seen, lambda: host.target_or(driver.reach().host), options.prometheus, span
        )
        if options.json:
            say.result(as_json(found))
        elif options.csv:
            say.result(as_csv(found))
        else:
            say.console(result=True).print(as_table(found))
        for gap in found.gaps if not options.json else ():
            say.line(f"  not in it: {gap}")

    page = add("dashboard", dashboard, "one page on this machine: who has which GPU, what waits, what is wrong")
    page.add_argument("--port", type=int, default=DASHBOARD_PORT, help="of 127.0.0.1; 0 takes a free one")
    page.add_argument("--static", metavar="FILE", default="", help="write the page as one file instead")
    hours = add("usage", usage, "GPU hours asked, given, used and idle, by team and queue")
    hours.add_argument("--since", default="24h", metavar="SPAN", help="how far back: 24h, 7d")
    hours.add_argument("--prometheus", default="", metavar="NAMESPACE/SERVICE:PORT", help="what knows the GPUs' work")
    form = hours.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON on standard output")
    form.add_argument("--csv", action="store_true", help="print CSV on standard output")
    out = add("fence", fence, "take a node out of service; without --node: which are, and which have a fault")
    out.add_argument("--node", default="", help="a node of the stack file's pools")
    out.add_argument("--reason", default="", help="why, for whoever reads it next")
    back = add("unfence", unfence, "put a node back into service")
    back.add_argument("--node", required=True, help="a node that is fenced")


@contextmanager
def _nodes(options: argparse.Namespace, root: Path) -> Iterator[tuple[Place, Driver, Client]]:
    """The host, checked to be the one on which the stack was made."""
    place, driver, host = begin(options, root, must_reach=True)
    host.refuse_another_cluster(driver.remembered())
    with connected(host.target_or(driver.reach().host)) as client:
        yield place, driver, client
