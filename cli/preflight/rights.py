"""What `up` must be allowed to do on the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cli.preflight.facts import ClusterFacts, Right
from cli.preflight.findings import Finding, error, ok
from settings.models import GpuStack, Owner, Platform

MONITORS: Final = "servicemonitors.monitoring.coreos.com"
"""The CRD of ServiceMonitors, which a Prometheus operator brings."""


def needed_rights(platform: Platform) -> list[Right]:
    """Return what `up` must be allowed to do on the host; each right is checked by a SelfSubjectAccessReview."""
    made: list[tuple[str, str]] = [
        ("", "namespaces"),
        ("", "resourcequotas"),
        ("", "limitranges"),
        ("", "secrets"),
        ("", "configmaps"),
        ("", "services"),
        ("", "serviceaccounts"),
        ("apps", "statefulsets"),
        ("batch", "jobs"),
        ("networking.k8s.io", "networkpolicies"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("rbac.authorization.k8s.io", "clusterrolebindings"),
        ("scheduling.k8s.io", "priorityclasses"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ]
    if any(team.vcluster.snapshots is not None for team in platform.teams.values()):
        # the volume, and the pod that writes to it
        made += [("", "persistentvolumeclaims"), ("", "pods")]
    if platform.gpu.runtime_class.owner is Owner.OURS:
        made.append(("node.k8s.io", "runtimeclasses"))
    if platform.gpu.owner is Owner.OURS and platform.gpu.stack is not GpuStack.FAKE:
        made.append(("apps", "daemonsets"))
    shared = platform.host.scheduler
    if (shared is not None and shared.owner is Owner.OURS) or (
        platform.gpu.stack is GpuStack.GPU_OPERATOR and platform.gpu.owner is Owner.OURS
    ):
        made.append(("apiextensions.k8s.io", "customresourcedefinitions"))
    if platform.gpu.metrics is not None and platform.gpu.metrics.service_monitor:
        made.append((MONITORS.partition(".")[2], MONITORS.partition(".")[0]))
    if platform.gpu.metrics is not None and ("apps", "daemonsets") not in made:
        made.append(("apps", "daemonsets"))
    rights = [Right(verb=verb, group=group, resource=name) for group, name in made for verb in ("create", "delete")]
    return [*rights, Right(verb="patch", group="", resource="nodes"), Right(verb="list", group="", resource="pods")]


def rights(facts: ClusterFacts) -> Iterator[Finding]:
    """Yield a row for each kind that the context's user may not make or remove."""
    by_resource: dict[tuple[str, str], list[str]] = {}
    for right in facts.denied:
        by_resource.setdefault((right.group, right.resource), []).append(right.verb)
    for (group, resource), verbs in by_resource.items():
        full = f"{resource}.{group}" if group else resource
        yield error(
            "rights",
            f"right on {full}",
            f"the context's user may not {' or '.join(verbs)} it",
            f"use a cluster administrator's context, or grant {', '.join(verbs)} on {full}",
        )
    if not facts.denied and "rights" not in facts.unreadable:
        yield ok("rights", "rights", "all that `up` needs")
