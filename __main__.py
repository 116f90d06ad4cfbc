"""The program. Reads the stack file once, then declares host, GPU software and teams."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pulumi

from components import platform as build
from components.host.cluster import HostCluster, HostClusterArgs
from components.team.tenant import resolve
from kube import KubeconfigError
from kube.stack import kubeconfig_of
from settings.load import parse_config
from settings.problems import SettingsError


def main() -> None:
    """Declare the platform of this stack."""
    config = pulumi.Config("gpu-tenancy")
    try:
        platform = parse_config(config.get("platform"), Path(f"Pulumi.{pulumi.get_stack()}.yaml"))
        kubeconfig, context = kubeconfig_of(platform.host, pulumi.runtime.get_config("gpu-tenancy:kubeconfig"))
    except (SettingsError, KubeconfigError) as error:
        raise pulumi.RunError(str(error)) from None

    tenants = resolve(platform)
    cluster = HostCluster(
        "host",
        HostClusterArgs(
            kubeconfig=pulumi.Output.secret(kubeconfig), context=context, provider=platform.host.provider.value
        ),
    )
    parts = build.host(platform, cluster, tenants)
    teams = build.teams(platform, parts, tenants, date.today())

    pulumi.export("cluster", {"context": context, "provider": platform.host.provider.value, "uid": cluster.uid})
    pulumi.export("pools", {name: pool.facts for name, pool in parts.pools.items()})
    pulumi.export("hostChecks", {node: check.report for node, check in parts.checks.items()})
    pulumi.export("teams", {name: team.outputs() for name, team in teams.items()})
    pulumi.export("kubeconfigs", pulumi.Output.secret({name: team.kubeconfigs() for name, team in teams.items()}))


main()
