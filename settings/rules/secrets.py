"""Rules about whose a secret is: what opens the hosts or the stack's state goes to no workload of a team."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from settings.models import Platform
from settings.problems import Path, Problem, shown
from settings.workload_parts import FromConfig
from settings.workload_rules import each_workload
from settings.workloads import App, Inference

OF_THE_ENGINE: Final = "PULUMI_"
"""How the variables begin that hold the state's passphrase and the backend's token."""


def secrets_stay_where_they_belong(platform: Platform) -> Iterator[Problem]:
    """Names of secrets are one list for the whole stack, and a team reads what its pods get."""
    keys: dict[str, str] = {}
    for where, connection in (
        ("host.connection", platform.host.connection),
        ("slurm.connection", platform.slurm.connection if platform.slurm else None),
    ):
        if connection is not None and connection.ssh is not None:
            keys.setdefault(connection.ssh.key, where)
    for _, _, _, workload, path in each_workload(platform):
        if isinstance(workload, Inference) and workload.token in keys:
            yield _of_a_host(workload.token, keys[workload.token], (*path, "token"))
        for variable, source in workload.secrets.items() if isinstance(workload, App) else ():
            at = (*path, "secrets", variable)
            if isinstance(source, FromConfig):
                if source.config in keys:
                    yield _of_a_host(source.config, keys[source.config], (*at, "config"))
            elif source.environment.startswith(OF_THE_ENGINE):
                yield Problem(
                    path=(*at, "environment"),
                    rule="is the engine's own variable: whoever has its value may read the stack's state",
                    got=shown(source.environment),
                    fix="give the app a secret of its own",
                )


def _of_a_host(name: str, where: str, path: Path) -> Problem:
    return Problem(
        path=path,
        rule=f"is the private key of {where}.ssh: the team would be root on that host",
        got=shown(name),
        fix="give the workload a secret of its own",
    )
