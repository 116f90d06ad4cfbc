"""How every chart of the platform is installed.

Owns: what a Helm release does when it fails, and what it keeps.
Leaves to others: where a chart comes from (`settings/artifacts.py`), its values, what it stands on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_kubernetes as k8s

if TYPE_CHECKING:
    import pulumi

    from releases import JSON
    from settings.artifacts import ChartRef


def installed(
    resource: str, chart: ChartRef, *, name: str, namespace: str, values: dict[str, JSON], opts: pulumi.ResourceOptions
) -> k8s.helm.v3.Release:
    """Install a chart as the Helm release `name`.

    A failed first install is uninstalled (`atomic`). Kept, it would stay in the state with a known id although what it
    makes is not there, so that every later preview ends with "does not exist"; and the next run would "upgrade" it by a
    chart that may not be able to (KAI's).
    """
    return k8s.helm.v3.Release(
        resource,
        name=name,
        namespace=namespace,
        chart=chart.chart,
        version=chart.version,
        repository_opts={"repo": chart.repo} if chart.repo else None,
        values=values,
        atomic=True,
        cleanup_on_fail=True,
        max_history=5,
        timeout=600,
        opts=opts,
    )
