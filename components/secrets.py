"""The values of the stack file's secrets, from the stack's config and the environment, as Pulumi secrets.

Owns: finding all of them before anything is registered, and one error that names every missing one.
Leaves to others: who uses them (workloads, ssh connections). Called once, by `__main__.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from settings.models import Platform
from settings.workload_parts import SECRET_KEY_PREFIX


class MissingSecretError(Exception):
    """The stack file names a secret that does not exist. The text names every such secret, with its fix, and no
    value.
    """


def stack_secrets(
    platform: Platform, config: pulumi.Config, environment: Mapping[str, str]
) -> dict[str, pulumi.Output[str]]:
    """Return the values by source: `config/<name>` and `environment/<NAME>`. Raises `MissingSecretError`."""
    found: dict[str, pulumi.Output[str]] = {}
    missing: list[str] = []

    def need(name: str, where: str, given: str = "") -> None:
        value = config.get_secret(f"{SECRET_KEY_PREFIX.removeprefix('gpu-tenancy:')}{name}")
        if value is None:
            missing.append(
                f"{where}: needs the secret {name}, which the stack does not have; "
                f"run `pulumi config set --secret {SECRET_KEY_PREFIX}{name}{given}`"
            )
        else:
            found[f"config/{name}"] = value

    for team_name, team in platform.teams.items():
        for key, workload in team.workloads.items():
            where = f"teams.{team_name}.workloads.{key}"
            for name in workload.secret_names:
                need(name, where)
            for variable in workload.environment_names:
                if environment.get(variable):
                    found[f"environment/{variable}"] = pulumi.Output.secret(environment[variable])
                else:
                    missing.append(
                        f"{where}: needs the environment variable {variable}, which is not set; "
                        f"set it, or write {{config: name}} and use a secret of the stack"
                    )
    for where, connection in (
        ("slurm", platform.slurm.connection if platform.slurm else None),
        ("host", platform.host.connection),
    ):
        if connection and connection.ssh:
            need(connection.ssh.key, f"{where}.connection.ssh.key", " < keyfile")
    if missing:
        count = len(missing)
        raise MissingSecretError(
            "\n".join([f"{count} secret{'' if count == 1 else 's'} missing, nothing was changed", *missing])
        )
    return found
