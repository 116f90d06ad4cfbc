"""How a command begins: it reads the stack file, finds the driver and the cluster, and says its first line."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

from cli import say
from cli.driver import Driver, Place
from cli.errors import InputError
from cli.host import Host
from cli.salvage import salvaged
from settings.load import load_stack_file
from settings.models import HostProvider
from settings.problems import SettingsError

STACK_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""What the engine accepts as a stack's name. It becomes part of a file's name, too."""


def stack_file_of(options: argparse.Namespace, root: Path) -> Path:
    """Return where the stack's file is, or would be. Raises `InputError` for a word that can't be a stack's name."""
    stack = str(options.stack)
    if STACK_NAME.fullmatch(stack) is None:
        raise InputError(f"{stack!r} is not a stack name.", "use letters, digits, '-', '_' and '.', for example `dev`")
    return root / f"Pulumi.{stack}.yaml"


def place_of(options: argparse.Namespace, root: Path, *, whole: bool = True) -> Place:
    """Return what the command works on. Raises `InputError` or `SettingsError`; touches nothing.

    Without `whole` a broken or missing stack file is reported, and the command goes on with what is known otherwise.
    """
    stack, stack_file = str(options.stack), stack_file_of(options, root)
    try:
        return Place(stack=stack, stack_file=stack_file, root=root, platform=load_stack_file(stack_file))
    except SettingsError as error:
        if whole:
            raise
        say.line(f"{str(error).replace(', nothing was changed', '')}\n{options.command} goes on without the stack file")
    named = frozenset(re.split(r"[\s,]+", getattr(options, "team", "") or "")) - {""}
    platform = salvaged(stack, stack_file, root)
    return Place(stack=stack, stack_file=stack_file, root=root, platform=platform, whole=False, let_go=named)


def driver_for(place: Place) -> Driver:
    """Return who drives this stack. Chosen by the stack file's provider, never by the stack's name."""
    if place.platform.host.provider is HostProvider.LAB:
        from cli.simulation import LabBridge  # import the lab only where it is used

        return LabBridge(place)
    from cli.engine import EngineDriver

    return EngineDriver(place)


def found(place: Place, command: str, *, must_reach: bool) -> tuple[Driver, Host]:
    """Find the cluster, and say the first line. `must_reach`: see `Host.find`. Raises `CommandError`.

    The driver finds what it needs itself when it is first asked, and can ask for several things at once then.
    """
    driver = driver_for(place)
    host = Host(place, driver)
    host.find(must_reach=must_reach)
    driver.use(host.target)
    if not (driver.says_first_line and command in ("up", "preview", "down")):
        say.line(host.headline())
    return driver, host


def begin(
    options: argparse.Namespace, root: Path, *, must_reach: bool, whole: bool = True
) -> tuple[Place, Driver, Host]:
    """Begin a command that needs all that its driver needs. Raises `CommandError` or `SettingsError`."""
    place = place_of(options, root, whole=whole)
    driver, host = found(place, options.command, must_reach=must_reach)
    driver.ready()
    return place, driver, host
