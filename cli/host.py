"""The host cluster of a command: its first line, the guard against the wrong cluster, the preflight."""

from __future__ import annotations

import json
from typing import Final

from rich.table import Table

from cli import say
from cli.cluster import Identity, Target, connected, find_target, identify
from cli.driver import Driver, Place
from cli.errors import CommandError
from cli.live import read_facts
from cli.preflight import Finding, Level, compare, needed_rights, worst
from components.team.tenant import resolve
from kube.stack import context_of
from settings.models import HostProvider
from settings.tenants import tenants

MARKS: Final = {Level.OK: "ok", Level.NOTE: "note", Level.WARNING: "WARN", Level.ERROR: "ERROR"}


class Host:
    """What a command knows about its cluster."""

    def __init__(self, place: Place, *, secret: str | None, own: Identity | None) -> None:
        self._place = place
        self._secret = secret
        self._target: Target | None = None
        self._identity = own
        self._why_not = ""

    @classmethod
    def of(cls, place: Place, driver: Driver) -> Host:
        """The stack file's host."""
        return cls(place, secret=driver.secret_kubeconfig(), own=driver.own_cluster())

    @property
    def target(self) -> Target | None:
        """The connection, where one was found."""
        return self._target

    def find(self, *, must_reach: bool) -> None:
        """Find context and UID. Without `must_reach` (reading the state needs no cluster) a dead one is named."""
        host = self._place.platform.host
        if host.provider is HostProvider.LAB:
            return
        try:
            self._target = find_target(host, root=self._place.root, secret=self._secret)
            with connected(self._target) as client:
                self._identity = identify(client, self._target.context)
        except CommandError as error:
            if must_reach:
                raise
            self._why_not = f"not reachable ({error.cause})"

    def headline(self) -> str:
        """The first line of every command: what it is about to touch."""
        provider = self._place.platform.host.provider
        if provider is HostProvider.LAB:
            where = (
                f"context {self._identity.context} | cluster {self._identity.uid}" if self._identity else "not started"
            )
            return f"stack {self._place.stack} | {where} | provider lab: a simulation, no GPU and no real cluster"
        context = self._target.context if self._target else context_of(self._place.platform.host) or "current"
        uid = self._identity.uid if self._identity else self._why_not or "unknown"
        return f"stack {self._place.stack} | context {context} | cluster {uid} | provider {provider}"

    def refuse_another_cluster(self, driver: Driver) -> None:
        """Refuse when the state was made on a cluster with another UID. Raises `CommandError`."""
        known = driver.known_uid()
        if known and self._identity is not None and known != self._identity.uid:
            raise CommandError(
                f"stack {self._place.stack} was made on cluster {known}, and context {self._identity.context} is "
                f"cluster {self._identity.uid}.",
                "choose the right context (host.context, KUBECONFIG); if the old cluster is gone for good: "
                f"`pulumi stack rm --force {self._place.stack}`, then `make up STACK={self._place.stack}`",
            )

    def preflight(self, place: Place, *, refuse: bool, as_json: bool = False, whole: bool = False) -> None:
        """Compare, show, and raise `CommandError` for the first error. `whole` shows what is well, too."""
        findings = self._findings(place)
        if findings is None:
            if whole:
                say.line("preflight: the lab makes its nodes from the stack file, so there is nothing to compare")
            return
        if as_json:
            print(json.dumps([vars_of(finding) for finding in findings], indent=2))
        else:
            shown = [f for f in findings if whole or f.level in (Level.WARNING, Level.ERROR)]
            if shown:
                say.console().print(table(shown))
        errors = [finding for finding in findings if finding.level is Level.ERROR]
        if errors and refuse:
            raise CommandError(
                f"preflight found {len(errors)} errors, nothing was changed. {errors[0].subject}: {errors[0].message}.",
                errors[0].fix,
            )
        if worst(findings) is Level.OK or not errors:
            say.line(f"preflight: {len(findings)} points, no error")

    def _findings(self, place: Place) -> list[Finding] | None:
        if self._target is None or self._identity is None:
            return None
        with connected(self._target) as client:
            facts = read_facts(client, needed_rights(place.platform), version=self._identity.server_version)
        found = resolve(place.platform)
        ports = {name: tenant.node_port for name, tenant in found.items() if tenant.node_port is not None}
        return compare(place.platform, facts, ports=ports, tenants=tenants(place.platform))


def vars_of(finding: Finding) -> dict[str, str]:
    """A finding as JSON."""
    return {
        "id": finding.id,
        "level": finding.level.value,
        "subject": finding.subject,
        "message": finding.message,
        "fix": finding.fix,
    }


def table(findings: list[Finding]) -> Table:
    """One table, one fix a line."""
    result = Table(title="preflight", title_justify="left", box=None, pad_edge=False)
    for header in ("", "what", "found", "fix"):
        result.add_column(header, overflow="fold")
    for finding in findings:
        result.add_row(MARKS[finding.level], finding.subject, finding.message, finding.fix)
    return result
