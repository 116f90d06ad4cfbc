"""`make inventory` and `make init`: read what is there, ask for the rest, write one file. They change nothing else."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cli import say
from cli.cluster import Target, connected, find_target, identify
from cli.errors import InputError
from cli.files import writing
from cli.first import Answers, brought_by, stack_text, teams_of
from cli.inventory import HEADERS, Machine, block, machine_of, pools_of, rows
from cli.live import read_facts
from cli.preflight import ClusterFacts
from settings.load import load_stack_file
from settings.models import Host, HostProvider

ANSWERS: Final = "ml=2,research=1,dev"


def inventory(options: argparse.Namespace, root: Path) -> None:
    """Print a table of machines on standard error, and the `pools:` block on standard output."""
    if options.nvml:
        from cli.nvml import this_machine

        machines = this_machine()
    else:
        facts, _target = _read(_host_of(options, root), root)
        machines = [machine_of(node) for node in facts.nodes.values()]
    if options.json:
        print(json.dumps([dict(zip(HEADERS, row, strict=True)) for row in rows(machines)], indent=2))
        return
    say.console().print(say.table(HEADERS, rows(machines)))
    say.result(block(pools_of(machines)))


def init(options: argparse.Namespace, target_file: Path) -> None:
    """Write a stack file, and check that it is valid. Raises `InputError`. Never touches an existing file."""
    if target_file.exists():
        raise InputError(
            f"{target_file.name} exists already, and is not overwritten.",
            "choose another name: `make init STACK=...`",
        )
    context = options.context or _ask("context of your kubeconfig (empty: the current one)", "", "CONTEXT")
    facts, target = _read(Host(provider=HostProvider.EXISTING, context=context or None), target_file.parent)
    machines = _counted([machine_of(node) for node in facts.nodes.values()], options.gpus)
    for machine in machines:
        if machine.left_out:
            say.line(f"node {machine.name} is left out: {machine.left_out}")
    machines = [machine for machine in machines if not machine.left_out]
    say.line(f"{len(machines)} nodes with {sum(machine.gpus for machine in machines)} GPUs")
    server = urlsplit(str(target.config.cluster.server)).hostname or ""
    address = options.address or _ask("address at which the teams reach this cluster", server, "ADDRESS")
    teams = options.teams or _ask(f"teams with their GPUs, like {ANSWERS}", "", "TEAMS")
    there = brought_by(facts)
    brings = (
        options.gpu_stack or there or _ask("what brings GPUs: devicePlugin or gpuOperator", "devicePlugin", "GPU_STACK")
    )
    kai = options.kai or _ask("KAI version of the teams with GPUs", Answers.kai, "KAI")
    answers = Answers(context=target.context, address=address, teams=teams_of(teams), stack=brings, kai=kai)
    text = stack_text(answers, facts, pools_of(machines))
    with tempfile.TemporaryDirectory() as folder:
        # checked under its own name, so that a mistake names the file; an invalid file is never written
        tried = Path(folder) / target_file.name
        tried.write_text(text, encoding="utf-8")
        load_stack_file(tried)
    with writing(target_file.name, "check the folder"), target_file.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except BaseException:
            target_file.unlink()
            raise
    say.line(f"wrote {target_file.name}\nnext: `make preview STACK={options.stack}` shows what it would make")


def _ask(question: str, otherwise: str, variable: str) -> str:
    """Ask a person. Without a terminal take the default, or name the missing variable."""
    if not sys.stdin.isatty():
        if otherwise or variable == "CONTEXT":
            return otherwise
        raise InputError(f"{variable} is not given, and nobody can be asked.", f"`make init {variable}=...`")
    print(f"{question}{f' [{otherwise}]' if otherwise else ''}: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or otherwise


def _host_of(options: argparse.Namespace, root: Path) -> Host:
    """The cluster to read: the named context, or the stack file's host."""
    if options.context:
        return Host(provider=HostProvider.EXISTING, context=options.context)
    stack_file = root / f"Pulumi.{options.stack}.yaml"
    platform = load_stack_file(stack_file)
    if platform.host.provider is HostProvider.LAB:
        raise InputError(
            f"stack {options.stack} is a lab: its nodes are made up from the stack file.",
            "name a cluster: `make inventory CONTEXT=<context>`, or `make inventory NVML=1` on a GPU host",
        )
    return platform.host


def _read(host: Host, root: Path) -> tuple[ClusterFacts, Target]:
    target = find_target(host, root=root)
    with connected(target) as client:
        return read_facts(client, (), version=identify(client, target.context).server_version), target


def _counted(machines: list[Machine], gpus: str) -> list[Machine]:
    """Read the number of GPUs of nodes that advertise none, from `gpu-0=4,gpu-1=4`. Raises `InputError`."""
    found = {machine.name: machine for machine in machines}
    for part in filter(None, gpus.split(",")):
        name, _, number = part.strip().partition("=")
        if name not in found or not number.isdecimal():
            known = ", ".join(sorted(found)) or "none"
            raise InputError(f"GPUS: {part!r} is not node=number.", f"nodes are: {known}")
        if found[name].gpus not in (0, int(number)):
            raise InputError(f"GPUS: {name} advertises {found[name].gpus} GPUs, not {number}.", f"leave {name} out")
        found[name] = replace(found[name], gpus=int(number))
    return list(found.values())
