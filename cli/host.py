"""The host cluster of a command: its first line, the guard against the wrong cluster, the preflight."""

from __future__ import annotations

import json
from datetime import date
from typing import Final

from lightkube.config.kubeconfig import SingleConfig

from cli import say
from cli.cluster import Identity, Target, connected, find_target, identify
from cli.driver import Driver, Place
from cli.errors import CommandError, Exit
from cli.failures import refused
from cli.fence import out_of_order
from cli.guards.live import cluster_refusals, compared
from cli.guards.memory import Remembered, another_cluster, left_out
from cli.guards.stamp import stamp
from cli.preflight import EVERYBODYS, Finding, Level, Whose
from kube.stack import context_of
from settings.models import HostProvider

MARKS: Final = {Level.OK: "ok", Level.NOTE: "note", Level.WARNING: "WARN", Level.ERROR: "ERROR"}


class Host:
    """What a command knows about its cluster."""

    def __init__(self, place: Place, driver: Driver) -> None:
        self._place = place
        self._secret = driver.secret_kubeconfig()
        self.target: Target | None = None
        """The connection, if one was found."""
        self._identity: Identity | None = driver.own_cluster()
        self._why_not: CommandError | None = None

    @property
    def reached(self) -> Target:
        """The connection. Raises `CommandError` without one: no kubeconfig leads there, or the host that the program
        made does not answer.
        """
        return self.target_or(None)

    def find(self, *, must_reach: bool) -> None:
        """Find context and UID. Without `must_reach` (the state is read without a cluster), a dead cluster is only
        reported.
        """
        host = self._place.platform.host
        made = host.install is not None
        if host.provider is HostProvider.LAB or (made and self._secret is None):
            return  # the program will make the cluster; any kubeconfig of this machine names another one
        try:
            self.target = find_target(host, root=self._place.root, secret=self._secret)
            with connected(self.target) as client:
                self._identity = identify(client, self.target.context)
        except CommandError as error:
            # somebody may have deleted by hand what the program made: then `up` and `down` are the way out
            if must_reach and not made:
                raise
            self.target, self._why_not = None if made else self.target, error

    def target_or(self, own: SingleConfig | None) -> Target:
        """Return the connection: the one that was found, or the driver's own. Raises `CommandError` without any."""
        if self.target is not None:
            return self.target
        if own is not None:
            return Target(context=own.context_name, source="the stack's own", config=own)
        if self._why_not is not None:
            raise self._why_not
        stack = self._place.stack
        if self._place.platform.host.provider is HostProvider.LAB:
            raise CommandError(f"the lab of stack {stack} does not run.", f"`make up STACK={stack}` starts it")
        raise CommandError(
            f"the program made the host of stack {stack}, and no kubeconfig of it is at hand.",
            f"`make up STACK={stack}` puts it into the outputs, and the stack's passphrase opens it",
        )

    def nodes_out_of_order(self) -> list[str]:
        """Return how the nodes differ from the stack file, one line each. Where the cluster can't be asked, report that
        and return nothing.
        """
        if self.target is None or self._why_not is not None:
            say.line(f"the nodes were not looked at: {self._why_not.cause if self._why_not else 'no kubeconfig here'}")
            return []
        with connected(self.target) as client:
            return out_of_order(client, self._place.platform)

    def must_be_reached(self) -> None:
        """Raise `CommandError` where `find` did not reach the cluster."""
        if self._why_not is not None and self._place.platform.host.install is None:
            raise self._why_not

    def headline(self) -> str:
        """The first line of every command: what it works on."""
        provider = self._place.platform.host.provider
        if provider is HostProvider.LAB:
            where = (
                f"context {self._identity.context} | cluster {self._identity.uid}" if self._identity else "not started"
            )
            return f"stack {self._place.stack} | {where} | provider lab: a simulation, no GPU and no real cluster"
        context = self.target.context if self.target else context_of(self._place.platform.host) or "current"
        otherwise = "made by the program" if self._place.platform.host.install else "unknown"
        why_not = f"not reachable ({self._why_not.cause})" if self._why_not else otherwise
        uid = self._identity.uid if self._identity else why_not
        return f"stack {self._place.stack} | context {context} | cluster {uid} | provider {provider}"

    def refuse_to_leave_out(self, was: Remembered) -> None:
        """Refuse when a team is left out of the stack file without an override. Raises `CommandError`."""
        place = self._place
        if found := left_out(was, place.platform, place.stack, date.today(), released=frozenset(was.teams)):
            raise refused(found)

    def refuse_another_cluster(self, was: Remembered) -> None:
        """Refuse when the state was made on a cluster with another UID. Raises `CommandError`."""
        if self._identity is None:
            return
        place, today = self._place, date.today()
        found = another_cluster(was, self._identity.uid, self._identity.context, place.platform, place.stack, today)
        if found:
            raise refused(found, code=Exit.FAILED)

    def preflight(self, *, as_json: bool = False, whole: bool = False, whose: Whose = EVERYBODYS) -> str:
        """Compare, show, and raise `CommandError` for errors. `whole`: show what is well, too. `whose`: which objects
        on the cluster are this stack's. An `up` of a host that the program makes is not refused, because the host's
        script may repair it. Returns the token for the program; empty where there was nothing to compare.
        """
        mends = self._place.platform.host.install is not None and not whole
        findings = self._findings(whose)
        if findings is None or self._identity is None:
            if whole:
                say.line(
                    "preflight: the program makes this cluster from the stack file, so there is nothing to compare"
                )
            return ""
        if as_json:
            say.result(json.dumps([vars(finding) for finding in findings], indent=2))
        else:
            shown = [f for f in findings if whole or f.level is Level.WARNING or (mends and f.level is Level.ERROR)]
            if shown:
                rows = ((MARKS[f.level], f.subject, say.told(f.message), say.told(f.fix)) for f in shown)
                say.console().print(say.table(("", "what", "found", "fix"), rows, title="preflight"))
        if refusals := cluster_refusals(findings, self._place.platform, date.today(), changing=True):
            if mends:
                say.line("preflight: the host is not as the stack file wants it; this run works at the host, too")
                return ""
            raise refused(refusals, code=Exit.FAILED)
        say.line(f"preflight: {len(findings)} points, no error")
        return stamp(self._place.platform, self._identity.uid)

    def _findings(self, whose: Whose) -> list[Finding] | None:
        if self.target is None or self._identity is None:
            return None
        with connected(self.target) as client:
            return compared(self._place.platform, client, self._identity.server_version, whose=whose)
