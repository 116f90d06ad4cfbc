"""How to reach a stack's clusters, by its outputs and its state. These contain credentials: nothing here prints.

Owns: the teams' kubeconfigs among the outputs, and which teams the state has.
Leaves to others: reading outputs and state (`engine.py`, `simulation.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import tokens
from cli.cluster import Target, target_of
from cli.driver import Reach
from cli.errors import CommandError
from components.team.tenant import Tenant
from kube import team_kubeconfig
from lenient import rows, table, text
from names import HOST_KUBECONFIG, Object, team_secret
from settings.models import Platform
from settings.tenants import team_of, tenants

UNFINISHED: Final = {"failed": ["the last update ended before this team was whole"]}


def kubeconfig_in(outputs: Object, team: str, *, user: bool, platform: Platform, stack: str) -> str:
    """Return a tenant's kubeconfig from the outputs. Raises `CommandError` where there is none."""
    found = text(outputs, "kubeconfigs", team, "user" if user else "admin")
    if found:
        return found
    which = "user kubeconfig" if user else "kubeconfig"
    fix = f"`make up STACK={stack}` first"
    if user:
        fix = f"set teams.{team_of(platform, team)}.access.userKubeconfig: true, then `make up STACK={stack}`"
    raise CommandError(f"the outputs of stack {stack} have no {which} of team {team}.", fix)


def from_certificates(ask: Callable[[str], Mapping[str, object] | None], tenant: Tenant) -> str | None:
    """Return a tenant's admin kubeconfig from the Secret that its virtual cluster wrote on the host; None without one.

    `ask`: returns the host's answer at a path.
    """
    try:
        secret = ask(f"/api/v1/namespaces/{tenant.namespace}/secrets/{team_secret(tenant.name)}")
        data = {key: str(value) for key, value in table(secret, "data").items()}
        return team_kubeconfig(tenant.name, tenant.server, data)
    except (CommandError, KeyError):
        return None


def teams_in_state(exported: Object) -> Object:
    """Return each team's own outputs from an exported state.

    They exist as soon as the team is complete. The stack's own outputs come at the end of an update, and not at all
    where it stopped at its first error or was interrupted.
    """
    found = {}
    for entry in rows(exported, "deployment", "resources"):
        if entry.get("type") == tokens.TEAM and not entry.get("delete"):
            facts, own = table(entry, "inputs"), table(entry, "outputs")
            found[text(entry, "urn").rpartition("::")[2]] = own if "namespace" in own else {**facts, **UNFINISHED}
    return found


def read_in_state(exported: Object) -> list[str]:
    """Return the URNs of what belongs to somebody else and was only read, from an exported state."""
    return [text(entry, "urn") for entry in rows(exported, "deployment", "resources") if entry.get("external")]


def reach_of(
    outputs: Object,
    platform: Platform,
    host: Target | None,
    otherwise: Callable[[str], str | None] = lambda _: None,
) -> Reach:
    """Return how to reach the clusters of a stack, by its outputs.

    `host`: None where the program made it; then the outputs have its kubeconfig. `otherwise`: returns a team's
    kubeconfig where the outputs have none, because they are only written at the end of an `up` without failures.
    """
    made = table(outputs, "teams")
    known = dict.fromkeys((*tenants(platform), *made))
    found = {name: text(outputs, "kubeconfigs", name, "admin") or otherwise(name) for name in known}
    # parsed here and not in threads, where the parser (msgspec 0.22) is not safe
    targets = {name: _target(text) for name, text in found.items()}
    host = host or _target(outputs.get(HOST_KUBECONFIG))
    return Reach(
        host=host.config if host else None,
        teams={name: target.config if target else None for name, target in targets.items()},
        made=made,
    )


def _target(kubeconfig: object) -> Target | None:
    try:
        return target_of(kubeconfig, "the stack's outputs") if isinstance(kubeconfig, str) else None
    except CommandError:
        return None
