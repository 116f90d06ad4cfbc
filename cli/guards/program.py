"""The guards of a plain `pulumi preview` and `pulumi up`: all of them run before anything is registered.

Owns: whether there is an engine at all, asking it for this stack's own state, the order, the one error.
Leaves to others: what is refused (the other files here).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from typing import Final

import pulumi
from pulumi.runtime import mocks, settings
from pydantic import JsonValue

from cli.cluster import Target, connected, identify, target_of
from cli.errors import CommandError
from cli.guards.killed import asked
from cli.guards.live import cluster_refusals, compared
from cli.guards.losses import losses
from cli.guards.memory import Remembered, another_cluster, left_out, remembered
from cli.guards.quota import quota_refusals
from cli.guards.refusal import Refusal, RefusedError
from cli.guards.serves import not_proven
from cli.guards.snapshots import before_changes
from cli.guards.stamp import RELEASED, VARIABLE, holds
from cli.guards.surroundings import makes_kind_here, steered
from cli.preflight import Finding, Level, Whose
from settings.models import HostProvider, Platform

READ_STATE: Final = "pulumi:pulumi:readStackResourceOutputs"
"""The engine's function that returns the outputs of all resources of a stack, on every backend. It works for the
running stack itself: the answer is the state of the last run.
"""

TORN: Final = "failed to load checkpoint"
TORN_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between tries to read a state that is being written; a state of 300 teams is written within one second."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cluster now. `findings`: None where they were not asked for."""

    target: Target
    uid: str
    findings: Sequence[Finding] | None


def look(platform: Platform, target: Target, wanted: Callable[[str], bool], *, whose: Whose) -> Cluster:
    """Ask the cluster. Raises `CommandError` where it can't be asked.

    `wanted`: says, by the cluster's UID, whether to compare the stack file with it. `whose`: which objects there are
    this stack's.
    """
    with connected(target) as client:
        identity = identify(client, target.context)
        version = identity.server_version
        findings = compared(platform, client, version, whose=whose) if wanted(identity.uid) else None
        return Cluster(target=target, uid=identity.uid, findings=findings)


def is_simulated() -> bool:
    """Whether the SDK's mocks run instead of an engine: in the lab, a rehearsal, a test. Then nothing real is made, and
    the caller judges the result.
    """
    return isinstance(settings.SETTINGS.monitor, mocks.MockMonitor)


def refuse_the_lab(platform: Platform, stack: str, *, simulated: bool) -> None:
    """Refuse a lab's stack file under an engine: its GPUs are simulated, the cluster would be real. Raises
    `RefusedError`.
    """
    if platform.host.provider is HostProvider.LAB and not simulated:
        cause = f"stack {stack} is a lab (host.provider: lab), and the engine drives real clusters"
        raise RefusedError([Refusal(cause=cause, fix=f"`make up STACK={stack}` runs it, on API servers of its own")])


def guard(platform: Platform, stack: str, kubeconfig: str | None, *, today: date) -> Remembered:
    """Ask all guards; return what the state knows. Raises `RefusedError` with every refusal.

    `kubeconfig` is the host's, cut to one context; None where the program makes the host, which then may not exist yet.
    """
    changing = not pulumi.runtime.is_dry_run()
    state = own_state()
    was = remembered(state)
    found = [
        *steered(os.environ, kind=makes_kind_here(platform.host)),
        *quota_refusals(platform, stack, today),
        *left_out(was, platform, stack, today, released=frozenset(os.environ.get(RELEASED, "").split())),
        *not_proven(was, platform, today),
    ]
    # the commands have checked already what a killed run left
    with asked(stack) if RELEASED not in os.environ else nullcontext() as killed:
        cluster = _looked(platform, stack, kubeconfig, was, found, today) if kubeconfig is not None else None
        if killed is not None:
            found += killed.refusals()
    found += losses(state, platform, stack, today, *((cluster.target, cluster.uid) if cluster else (None, None)))
    if cluster is not None:
        found += cluster_refusals(cluster.findings or (), platform, today, changing=changing)
    if not found and changing and cluster is not None and kubeconfig is not None:
        found = before_changes(state, platform, cluster.uid, kubeconfig)
    if found:
        raise RefusedError(found)
    return was


def _looked(
    platform: Platform, stack: str, kubeconfig: str, was: Remembered, found: Sequence[Refusal], today: date
) -> Cluster:
    """Look at the cluster. Raises `RefusedError` with the refusals so far if it can't be asked or is another one."""
    word = os.environ.get(VARIABLE)

    def wanted(uid: str) -> bool:
        return (was.uid is None or was.uid == uid) and not holds(word, platform, uid)

    try:
        target = target_of(kubeconfig, "of the stack")
        cluster = look(platform, target, wanted, whose=was.whose)
    except CommandError as error:
        raise RefusedError([Refusal(cause=error.cause.removesuffix("."), fix=error.fix), *found]) from None
    _tell(cluster)
    if elsewhere := another_cluster(was, cluster.uid, target.context, platform, stack, today):
        raise RefusedError([*elsewhere, *found])
    return cluster


def own_state() -> Mapping[str, JsonValue]:
    """The resources of this stack's state by URN, each with its type and outputs; empty where nothing was made yet.

    The outputs contain secrets unencrypted: they are read here and never shown.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = _read_whole(name)
    found = answer.get("outputs") if isinstance(answer, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _read_whole(name: str) -> object:
    """Ask the engine for the state. The state file may be half-written at this moment: on a fast machine the answer was
    "failed to load checkpoint: EOF". The next try finds it complete.
    """
    for pause in (*TORN_PAUSES, None):
        try:
            return pulumi.runtime.invoke(READ_STATE, {"stackName": name}).value
        except Exception as error:  # the SDK's type for every failed invoke
            if pause is None or TORN not in str(error):
                raise
            time.sleep(pause)
    return None


def _tell(cluster: Cluster) -> None:
    """Print findings that need a look but stop nothing."""
    for finding in cluster.findings or ():
        if finding.level is Level.WARNING:
            pulumi.log.warn(f"preflight, {finding.subject}: {finding.message}; {finding.fix}")
