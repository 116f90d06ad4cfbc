"""The program. Reads the stack file once, asks the guards, then declares host, GPU software and teams."""

from __future__ import annotations

import atexit
import gc
import os
from datetime import date
from pathlib import Path
from typing import Final

import pulumi

from cli.guards import program as guards
from cli.guards.memory import Remembered
from cli.guards.refusal import RefusedError
from components import failures, kinds
from components import platform as build
from components.base import no_frames
from components.secrets import MissingSecretError, stack_secrets
from components.team.tenant import resolve
from kube import KubeconfigError
from kube.stack import kubeconfig_of
from names import HOST_KUBECONFIG
from settings.claims import declared_footprint
from settings.load import parse_config
from settings.problems import SettingsError
from settings.tenants import serving

OBJECTS_UNTIL_COLLECTED: Final = 100_000
"""By default Python looks for unreachable cycles after every 700 new objects. Everything that a team declares stays
reachable to the end, so this took a third of the program's CPU time (100 teams under mocks), and freed 2 % of its
memory.
"""


def unsaid(msg: str, resource: object = None, stream_id: int | None = None, ephemeral: bool | None = None) -> None:
    """Replace the SDK's `log.debug`. It sends the engine six lines for each resource, for the option `--debug`, and the
    program waits for each call: a seventh of the program's CPU time, a tenth of the engine's."""


def main() -> None:
    """Declare the platform of this stack."""
    gc.set_threshold(OBJECTS_UNTIL_COLLECTED)
    # the engine waits for this process, which would take apart all that is declared: 0.4 s of CPU for ten teams
    atexit.register(gc.freeze)
    pulumi.log.debug = unsaid
    config, stack, simulated = pulumi.Config("gpu-tenancy"), pulumi.get_stack(), guards.is_simulated()
    try:
        platform = parse_config(config.get("platform"), Path(f"Pulumi.{stack}.yaml"))
        guards.refuse_the_lab(platform, stack, simulated=simulated)
        secrets = stack_secrets(platform, config, os.environ)
        known = None if platform.host.install else kubeconfig_of(platform.host, config.get("kubeconfig"))
        was = Remembered()
        if not simulated:
            with kinds.loading():
                was = guards.guard(platform, stack, known[0] if known else None, today=date.today())
    except (SettingsError, KubeconfigError, MissingSecretError, RefusedError) as error:
        raise pulumi.RunError(str(error)) from None

    failures.are_told()
    tenants = resolve(platform)
    with no_frames():
        cluster = build.cluster(platform, tenants, known, secrets)
        parts = build.host(platform, cluster, tenants, was.patches)
        host = build.protection(parts, build.slurm(platform, secrets), was.protections)
        teams = build.teams(platform, parts, tenants, date.today(), secrets, host, was.protections)

    pulumi.export("cluster", {"context": cluster.context, "provider": platform.host.provider.value, "uid": cluster.uid})
    if cluster.install is not None:
        pulumi.export(HOST_KUBECONFIG, cluster.kubeconfig)  # the only copy: no file on this machine has it
    pulumi.export("pools", {name: pool.facts for name, pool in parts.pools.items()})
    pulumi.export("hostChecks", {node: failures.unless_failed(check.report) for node, check in parts.checks.items()})
    pulumi.export("footprint", declared_footprint(platform))
    if serves := {team: serving(team, said) for team, said in platform.teams.items() if said.blue_green is not None}:
        pulumi.export("serves", serves)
    pulumi.export("teams", {name: team.outputs() for name, team in teams.items()})
    pulumi.export("kubeconfigs", pulumi.Output.secret({name: team.kubeconfigs() for name, team in teams.items()}))


main()
pulumi.run(failures.all_is_answered)
