"""Pods and events of a cluster where something can't start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cli.stuck import GOES_ON, Stuck
from cli.stuck import stuck as stuck_now

TEAMS = {"team-ml": "ml", "team-research": "research"}
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
DENIED = 'Back-off pulling image "ghcr.io/loft-sh/vcluster-oss:0.36.1": ErrImagePull: 403 Forbidden'


def pod(name: str = "ml-0", namespace: str = "team-ml", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "status": {"phase": "Pending", **status}}


def container(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {
        "name": "c",
        "image": "ghcr.io/loft-sh/vcluster-oss:0.36.1",
        "state": {"waiting": {"reason": reason, "message": message}},
        **more,
    }


def stuck(pods: list[Any], events: list[Any], *, teams: dict[str, str], stack: str) -> tuple[list[Stuck], set[str]]:
    return stuck_now(pods, events, teams=teams, stack=stack, now=NOW)


def event(
    reason: str, message: str, *, kind: str, name: str, lasted: timedelta = GOES_ON, ago: timedelta = timedelta()
) -> dict[str, Any]:
    """A warning that was seen again and again for so long, the last time so long ago."""
    return {
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": kind, "name": name, "namespace": "team-ml"},
        "firstTimestamp": (NOW - ago - lasted).isoformat(),
        "lastTimestamp": (NOW - ago).isoformat(),
    }


def causes(*pods: dict[str, Any], events: list[dict[str, Any]] | None = None) -> list[tuple[str, str | None, str]]:
    found, _ = stuck(list(pods), events or [], teams=TEAMS, stack="one")
    return [(one.failure.id, one.failure.team, one.failure.cause) for one in found]
