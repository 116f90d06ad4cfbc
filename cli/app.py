"""The command line: reads arguments, runs the steps in order, turns every error into a message and an exit code.

Every command first reads the stack file (all its mistakes at once), then names its cluster (the first line), checks
what the driver needs (`pulumi`), runs preflight where something will be made, and then does the work.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

from cli import say
from cli.begin import begin, driver_for, found, place_of, stack_file_of
from cli.canary import dropped, promoted
from cli.errors import CommandError, Exit, InputError
from cli.files import write_private, writing
from cli.look import viewer
from cli.operate import add_commands
from cli.why import add_request, request_of, show_why, show_would
from hints import DEFAULT_STACK
from settings.models import HostProvider
from settings.problems import SettingsError
from settings.tenants import meant, tenants

ROOT: Final = Path(__file__).resolve().parent.parent
TIMED: Final = ("up", "down", "kubeconfig", "lab-reset")
"""Commands that say how long they took."""


def main(arguments: Sequence[str], *, root: Path = ROOT) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 bad input and nothing touched, 130 interrupted."""
    options = parser().parse_args(arguments)
    say.about(str(options.stack))
    began = time.monotonic()
    try:
        run: Callable[[argparse.Namespace, Path], None] = options.run
        run(options, root)
        if options.command in TIMED:
            say.line(f"{options.command}: done in {time.monotonic() - began:.1f} s")
    except SettingsError as error:
        say.line(str(error))
        return Exit.BAD_INPUT
    except CommandError as error:
        say.complain(error)
        return error.code
    except KeyboardInterrupt:
        say.line("\ninterrupted; a rerun is safe")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        say.no_more()  # the reader of our output has gone
        return Exit.FAILED
    except OSError as error:  # a full disk or a read-only folder, anywhere
        say.no_more()
        place = f"{error.filename}: " if error.filename else ""
        say.complain(CommandError(f"{place}{error.strerror or error}.", "free space, or check who may write there"))
        return Exit.FAILED
    return Exit.OK


@cache
def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m cli", description="GPU hosts into isolated per-team clusters.")
    result.add_argument("--stack", required=True, metavar="NAME", help="reads Pulumi.NAME.yaml")
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace, Path], None], words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=words)
        command.set_defaults(run=run)
        return command

    add("up", _up, "make the platform what the stack file says")
    preview = add("preview", _preview, "show what `up` would change")
    preview.add_argument(
        "--json", type=Path, metavar="FILE", help="write it to a file instead, in the engine's own JSON"
    )
    add("drift", _drift, "is the cluster still what the state says? changes nothing")
    add("outputs", _outputs, "print the outputs as JSON, without secrets")
    add("env", _env, "print what a shell must export for a plain `pulumi` to use the same state")
    status = add("status", _status, "show teams, versions, quotas and the last check")
    status.add_argument("--watch", action="store_true", help="draw it again and again, until Ctrl-C")
    kubeconfig = add("kubeconfig", _kubeconfig, "write a team's kubeconfig (mode 0600)")
    kubeconfig.add_argument("--team", required=True, help="a team of the stack file")
    kubeconfig.add_argument("--user", action="store_true", help="the one without admin rights")
    promote = add("promote", _promote, "give a team its canary's version, or let its other slot serve: edits the file")
    drop = add("drop-canary", _drop_canary, "take a team's canary, or its slot that does not serve, out of the file")
    for edit in (promote, drop):
        edit.add_argument("--team", required=True, help="a team with a canary or with blueGreen")
    preflight = add("preflight", _preflight, "compare the stack file with the cluster")
    footprint = add("footprint", _footprint, "what tenancy itself costs, by team and beside what the pools have")
    footprint.add_argument("--team", default="", help="show this team's pods one by one")
    for command in (status, preflight, footprint):
        command.add_argument("--json", action="store_true", help="print JSON on standard output instead of a table")
    add_commands(add)
    why = add("why", _why, "say why pods wait, and what to do")
    why.add_argument("--pod", default="", metavar="NAME", help="a pod, or what makes it; default: every pod that waits")
    would = add("would", _would, "would a pod like this be placed now?")
    add_request(would)
    for command in (why, would):
        command.add_argument("--team", default="", help="a team of the stack")
        command.add_argument("--json", action="store_true", help="print JSON on standard output")
    for name, run, words in (
        ("snapshot", _snapshot, "keep a team's virtual cluster as it is now"),
        ("restore", _restore, "put a team's virtual cluster back to a snapshot; says first what that loses"),
    ):
        add(name, run, words).add_argument("--team", default="", help="a team that keeps snapshots")
    restore = commands.choices["restore"]
    restore.add_argument("--snapshot", default="", metavar="NAME", help="which; without it they are listed")
    restore.add_argument("--yes", action="store_true", help="do not ask")
    down = add("down", _down, "remove everything that `up` made")
    down.add_argument(
        "--team", default="", metavar="NAMES", help="protected teams to delete, where the stack file can't say so"
    )
    looked = add("inventory", _inventory, "print a cluster's GPUs, or this machine's, as the pools of a stack file")
    looked.add_argument("--nvml", action="store_true", help="read this machine's GPUs by NVML, and no cluster")
    looked.add_argument("--json", action="store_true", help="print the table as JSON instead of the block")
    first = add("init", _init, "write a first stack file for a cluster, by five questions or by flags")
    for command in (looked, first):
        command.add_argument(
            "--context", default="", help="of the kubeconfig; default: the stack file's, or the current"
        )
    first.add_argument("--address", default="", help="where the teams reach the cluster's NodePorts")
    first.add_argument("--teams", default="", metavar="NAMES", help="with their GPUs: ml=2,research=1,dev")
    first.add_argument("--gpus", default="", metavar="NODES", help="of nodes that advertise none yet: gpu-0=4,gpu-1=4")
    first.add_argument("--gpu-stack", default="", choices=("", "devicePlugin", "gpuOperator", "fake"))
    first.add_argument("--kai", default="", metavar="VERSION", help="of the teams with GPUs")
    add("lab-reset", _lab_reset, "throw the lab away, whatever state it is in")
    return result


def _up(options: argparse.Namespace, root: Path) -> None:
    place, driver, host = begin(options, root, must_reach=True)
    was = driver.remembered()
    host.refuse_another_cluster(was)
    host.refuse_to_leave_out(was)
    driver.compared(host.preflight(whose=was.whose))
    driver.up()
    team = next(iter(place.platform.teams), "<team>")
    say.line(
        f"next: `make status STACK={place.stack}` shows every team and its check, "
        f"`make kubeconfig STACK={place.stack} TEAM={team}` writes a team's kubeconfig"
    )


def _preview(options: argparse.Namespace, root: Path) -> None:
    # the program itself calls the guards
    _place, driver, _host = begin(options, root, must_reach=True)
    if options.json is None:
        driver.preview()
        return
    with writing(options.json.name):
        options.json.parent.mkdir(parents=True, exist_ok=True)
        driver.digest(options.json)


def _drift(options: argparse.Namespace, root: Path) -> None:
    place, driver, host = begin(options, root, must_reach=False)
    drifts = driver.drifts()
    nodes = host.nodes_out_of_order()
    for line in nodes:
        say.line(line)
    if drifts:
        raise CommandError(
            f"the cluster of stack {place.stack} differs from its state.",
            f"see what differs above; `make up STACK={place.stack}` makes it what the stack file says",
        )
    if nodes:
        raise CommandError(
            f"nodes of stack {place.stack} differ from the stack file.", "see above what each of them needs"
        )
    say.line(f"stack {place.stack}: the cluster is what the state says")


def _down(options: argparse.Namespace, root: Path) -> None:
    place, driver, host = begin(options, root, must_reach=False, whole=False)
    if place.whole:
        host.must_be_reached()
        host.refuse_another_cluster(driver.remembered())
    driver.down()


def _env(options: argparse.Namespace, root: Path) -> None:
    lines = driver_for(place_of(options, root)).exports()
    if lines:
        say.result(lines)
    else:
        say.line("nothing to export: a plain `pulumi` uses the same state as it is")


def _outputs(options: argparse.Namespace, root: Path) -> None:
    _place, driver, _host = begin(options, root, must_reach=False)
    print(json.dumps(driver.outputs(), indent=2, sort_keys=True))


def _status(options: argparse.Namespace, root: Path) -> None:
    from cli.now import show_now, watch

    place = place_of(options, root, whole=False)
    driver, _host = found(place, options.command, must_reach=False)
    view = viewer(place, driver)

    def draw() -> None:
        with ThreadPoolExecutor(max_workers=1) as beside:
            states = beside.submit(driver.states)
            seen = view()
        show_now(seen, place, states.result(), as_json=options.json)

    if options.watch:
        watch(draw, time.sleep)
    else:
        draw()


def _footprint(options: argparse.Namespace, root: Path) -> None:
    from cli.footprint import look, show

    place = place_of(options, root)
    _driver, host = found(place, options.command, must_reach=False)
    uses = look(place.platform, host.target)
    if options.json:
        print(json.dumps([one.as_json() for one in uses], indent=2))
    else:
        show(uses, place.platform, team=options.team)


def _why(options: argparse.Namespace, root: Path) -> None:
    place = place_of(options, root, whole=False)
    driver, _host = found(place, options.command, must_reach=False)
    show_why(
        viewer(place, driver)(),
        meant(place.platform, options.team),
        options.pod,
        stack=place.stack,
        as_json=options.json,
    )


def _would(options: argparse.Namespace, root: Path) -> None:
    place = place_of(options, root)
    driver, _host = found(place, options.command, must_reach=False)
    show_would(
        viewer(place, driver)(),
        meant(place.platform, options.team),
        request_of(options),
        stack=place.stack,
        as_json=options.json,
    )


def _kubeconfig(options: argparse.Namespace, root: Path) -> None:
    place = place_of(options, root)
    names = sorted({*place.platform.teams, *tenants(place.platform)})
    team = meant(place.platform, options.team)
    if team not in names:
        got = f"there is no team {options.team!r}" if options.team else "no team is named"
        raise InputError(
            f"{got} in {place.stack_file.name}.",
            f"`make kubeconfig STACK={place.stack} TEAM=<team>` with one of: {', '.join(names) or '(none)'}",
        )
    driver, _host = found(place, options.command, must_reach=False)
    driver.ready()
    text = driver.kubeconfig(team, user=options.user)
    kind = "-user" if options.user else ""
    target = root / f"kubeconfig-{place.stack}-{options.team}{kind}.yaml"
    with writing(target.name):
        write_private(target, text)
    say.line(f"wrote {target.name} (mode 0600): KUBECONFIG={target.name} kubectl get pods")


def _promote(options: argparse.Namespace, root: Path) -> None:
    place = place_of(options, root)
    promoted(place, options.team, driver_for(place))


def _drop_canary(options: argparse.Namespace, root: Path) -> None:
    dropped(place_of(options, root), options.team)


def _snapshot(options: argparse.Namespace, root: Path) -> None:
    from cli import snapshots

    store = snapshots.store_of(place_of(options, root), options.team)
    place, driver, host = begin(options, root, must_reach=True)
    host.refuse_another_cluster(driver.remembered())
    snapshots.snapshot(place, driver, host.reached, store)


def _restore(options: argparse.Namespace, root: Path) -> None:
    from cli import snapshots

    store = snapshots.store_of(place_of(options, root), options.team)
    place, driver, host = begin(options, root, must_reach=True)
    host.refuse_another_cluster(driver.remembered())
    snapshots.restore(place, driver, host.reached, store, options.snapshot, yes=options.yes)


def _preflight(options: argparse.Namespace, root: Path) -> None:
    _driver, host = found(place_of(options, root), options.command, must_reach=True)
    host.preflight(as_json=options.json, whole=True)


def _inventory(options: argparse.Namespace, root: Path) -> None:
    from cli.ask import inventory

    inventory(options, root)


def _init(options: argparse.Namespace, root: Path) -> None:
    from cli.ask import init

    init(options, stack_file_of(options, root))


def _lab_reset(options: argparse.Namespace, root: Path) -> None:
    place = place_of(options, root, whole=False)
    if place.platform.host.provider is not HostProvider.LAB:
        raise InputError(
            f"stack {place.stack} is not a lab: its provider is {place.platform.host.provider}.",
            f"`make lab-reset STACK={DEFAULT_STACK}` resets the lab; to remove stack {place.stack}: "
            f"`make down STACK={place.stack}`",
        )
    from cli.simulation import LabBridge

    LabBridge(place).reset()
