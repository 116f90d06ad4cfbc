"""The real engine: runs that change something, that can be interrupted and resumed.

Owns: which command runs with which arguments, what a killed run left behind, reporting a failure.
Leaves to others: the stack and its state (`stack.py`), progress (`progress.py`), what can't start (`waiting.py`), what
is refused (`guards`), what a message means (`causes.py`), what is created (`__main__.py` of the project).

The SDK's Automation API is not used: it neither waits for the engine after Ctrl-C nor keeps stdout and stderr in order.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lightkube import Client

import tokens
from cli import say
from cli.backend import Env, exports, has_passphrase, project
from cli.causes import Failure, distinct
from cli.cluster import TIMEOUT, Target, connected, get_json, target_of
from cli.driver import Driver, Place, Reach, TeamState
from cli.emptying import Emptying
from cli.errors import CommandError, InputError, InterruptedRunError
from cli.failures import also, explained, keep_words, refused
from cli.guards.levels import policy_arguments
from cli.guards.losses import usage_now
from cli.guards.memory import Remembered, remembered
from cli.guards.refusal import ends, from_words
from cli.guards.stamp import RELEASED, VARIABLE
from cli.half_made import half_made, owned_half_made
from cli.locks import Lock, end_orphans, is_engine, read_locks
from cli.progress import Progress, Run, run_shown
from cli.reach import from_certificates, kubeconfig_in, reach_of, read_in_state, teams_in_state
from cli.resume import Pending, clear, end_dropped, hinders, pending_operations
from cli.shown import show_preview, show_refusals, words
from cli.stack import Stack, protected_urns, refuse_protected
from cli.status import team_states
from cli.waiting import Reader, Watch, inner_reader, reader, together
from components.team.protection import override_for
from components.team.tenant import resolve
from names import HOST_KUBECONFIG, JSON, SHARED_NAMESPACES, Object, team_namespace, team_secret
from preview.read import PreviewError, read_preview
from preview.steps import Preview
from report.redact import Redactor
from settings.load import KUBECONFIG_KEY
from settings.tenants import tenants

HIDDEN_OUTPUTS: Final = frozenset({"kubeconfigs", HOST_KUBECONFIG})
MASKED: Final = "[secret]"

IDLE_SECONDS: Final = 45.0
"""If no step ends for this long, the engine is only waiting."""

Watched = tuple[Run, Sequence[Failure]]

STREAM: Final = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
"""The digest of a plain --json leaves out the policies' events (pulumi v3.259.0 pkg/backend/display/json.go)."""

AS_NOT_EXPECTED: Final = 7
"""The engine's exit code for changes under `--expect-no-changes` (pulumi v3.259.0 pkg/cmd/pulumi/cmd/exit_codes.go)."""
NOT_EXPECTED: Final = "no changes were expected"
"""The message of that error; older engines have another code."""

MAKE_TARGET: Final = {"destroy": "down", "refresh": "drift"}
"""The make target of an engine's command, where the names differ."""


class EngineDriver(Driver):
    """Drives a stack by the `pulumi` command."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stack = Stack(place)
        self._host: Target | None = None
        self._inside: dict[str, Reader] = {}

    def compared(self, word: str) -> None:
        self._stack.env[VARIABLE] = word

    def exports(self) -> str:
        self._stack.make_first_place()
        return exports(self._stack.env)

    def use(self, host: Target | None) -> None:
        """Take the host's connection, to clear what a killed run left there and to watch new pods."""
        self._host = host

    def ready(self) -> None:
        """Find `pulumi` and check its version. Raises `CommandError`."""
        self._stack.ready()

    def secret_kubeconfig(self) -> str | None:
        """Return the kubeconfig of a host that the program made, if it can be read; else the stack file's secret."""
        if self._place.platform.host.install is not None:
            made = self._readable.get(HOST_KUBECONFIG)
            return made if isinstance(made, str) and made != MASKED else None
        config = self._stack.raw_stack_file().get("config")
        if not isinstance(config, dict) or KUBECONFIG_KEY not in config:
            return None
        self._stack.make()
        return self._stack.capture("config", "get", KUBECONFIG_KEY, "--stack", self._place.stack)

    def remembered(self) -> Remembered:
        resources = (self._stack.exported.get("deployment") or {}).get("resources") or []
        found = remembered({str(entry.get("urn")): entry for entry in resources})
        protected = protected_urns(self._stack.exported)
        # the state says what the engine really protects; the outputs only say what a run intended
        pending = pending_operations(self._stack.exported)
        labelling = any(operation.kind == tokens.NODE_PATCH for operation in pending)
        return found.with_state(frozenset(protected), half_labelled=labelling)

    def up(self) -> None:
        """Preview, then update. Every team is tried, even when one fails."""
        self._stack.make()
        self._take_up()
        with policy_arguments(self._place.platform, self._place.stack, self._place.root, date.today()) as policies:
            self._go("up", "--yes", "--continue-on-error", *policies, more={RELEASED: " ".join(self._let_go())})

    def preview(self) -> None:
        """Print the update's steps on standard output, with old and new values, team by team."""
        self._stack.make()
        with TemporaryDirectory() as folder:
            run, found = self._previewed(Path(folder) / "preview.json")
        self._judge("preview", run)
        platform, asked = self._place.platform, self._host if found.changes else None
        usage = usage_now(asked, resolve(platform)) if asked is not None else None
        show_preview(found, platform, usage)
        show_refusals(found, platform, usage, date.today())

    def digest(self, out: Path) -> None:
        """Write the update's steps as JSON, including those that change nothing, and the policies' messages."""
        self._stack.need_passphrase()
        run, _ = self._previewed(out)
        if run.text:
            say.line(run.text)

    def _previewed(self, out: Path) -> tuple[Run, Preview]:
        """Write a preview to a file and read it. The run's text then includes messages that only the file has."""
        with policy_arguments(self._place.platform, self._place.stack, self._place.root, date.today()) as policies:
            # what `up` lifts in the state; the program refuses to leave out a team without an override
            going = self._going()
            lifted = ["--ignore-protect"] if any(going.values()) else []
            run = self._run_quietly("preview", "--json", "--show-sames", *lifted, *policies, result=out)
        if run.interrupted:
            self._judge("preview", run)
        try:
            found = read_preview(out.read_text(encoding="utf-8"), where=out.name)
        except PreviewError as error:
            self._judge("preview", run)
            raise CommandError(f"`pulumi preview` wrote no preview: {error}.", "", detail=run.text) from None
        if lifted:
            refuse_protected(found, self._stack.exported, going, self._place.stack)
        return replace(run, text=f"{run.text}\n{Redactor().text(words(found))}".strip()), found

    def drifts(self) -> bool:
        """Refresh without keeping anything. The program runs, because it reads the inner clusters' kubeconfigs.

        What the state only read is left out: the engine calls it changed where the program reads it no more.
        """
        self._stack.need_passphrase()
        reads = [f"--exclude={urn}" for urn in read_in_state(self._stack.exported)]
        run = self._run_quietly("refresh", "--preview-only", "--expect-no-changes", "--run-program", "--diff", *reads)
        if run.code == AS_NOT_EXPECTED or NOT_EXPECTED in run.text:
            say.line(run.text)
            return True
        self._judge("refresh", run)
        return False

    def _run_quietly(self, *arguments: str, result: Path | None = None) -> Run:
        """Run the engine; its output is returned without secrets, because many people read a workflow's log."""
        command = self._stack.command(*arguments, "--stack", self._place.stack)
        pending = pending_operations(self._stack.exported)
        # the program need not ask the engine for this again
        clean = {} if hinders(pending, self._connect) else {RELEASED: " ".join(self._going())}
        env, quiet = {**self._stack.env, **STREAM, **clean}, Progress(lambda _: None)
        run = run_shown(command, cwd=self._place.root, env=env, progress=quiet, result=result)
        return replace(run, text="\n".join(Redactor().lines(run.text.splitlines())))

    def outputs(self) -> dict[str, JSON]:
        """Return what the state says; no secret, so no passphrase is needed."""
        outputs = self._stack.outputs()
        shown = {key: value for key, value in outputs.items() if key not in HIDDEN_OUTPUTS and value != MASKED}
        return {**shown, "teams": self._teams(outputs)}

    def _teams(self, outputs: Object) -> Object:
        """Each team's outputs, also after an update that ended before the stack's outputs."""
        return teams_in_state(self._stack.exported) or outputs.get("teams") or {}

    def kubeconfig(self, team: str, *, user: bool) -> str:
        self._stack.need_passphrase()
        outputs = self._stack.outputs("--show-secrets") if self._stack.exists else {}
        try:
            return kubeconfig_in(outputs, team, user=user, platform=self._place.platform, stack=self._place.stack)
        except CommandError:
            text = None if user else self._from_certificates(team)
            if text is None:
                raise
            return text

    def reach(self) -> Reach:
        return reach_of(self._readable, self._place.platform, self._host, self._from_certificates)

    def states(self) -> dict[str, TeamState]:
        return team_states(self._readable, self._place.platform, self._from_certificates) if self._stack.exists else {}

    @cached_property
    def _readable(self) -> Object:
        """The outputs, with the kubeconfigs where they can be decrypted; read once."""
        readable = self._place.whole and (has_passphrase(self._stack.env) or not self._stack.asks_for_passphrase())
        outputs = self._stack.outputs_if_there(*(["--show-secrets"] if readable else []))
        return {} if outputs is None else {**outputs, "teams": self._teams(outputs)}

    def down(self) -> None:
        """Destroy everything. The empty stack stays, so that the next `up` needs no init."""
        if not self._stack.exists:
            say.line(f"stack {self._place.stack} does not exist: nothing to remove")
            return
        self._take_up()
        lifted = self._lift_protection()
        with self._stack.config_arguments() as config:
            # nobody reads a preview in the middle of `down`, and it takes seconds
            self._go("destroy", "--yes", "--skip-preview", "--continue-on-error", *lifted, *config)

    def _let_go(self) -> list[str]:
        """Lift the protection of the teams that an override lets go; return their names.

        A team that never became complete does not say whether it is protected, and may not be: it is let go as well.
        """
        going = self._going()
        if urns := [urn for of_a_team in going.values() for urn in of_a_team]:
            # all in one: each start of the engine reads and writes the whole state
            self._stack.capture("state", "unprotect", *urns, "--yes", "--stack", self._place.stack)
        return sorted(going)

    def _going(self) -> dict[str, list[str]]:
        """Return the teams that the stack file leaves out, each with what the state protects of it."""
        there, protected = resolve(self._place.platform), protected_urns(self._stack.exported)
        return {team: protected.get(team, []) for team in teams_in_state(self._stack.exported) if team not in there}

    def _lift_protection(self) -> list[str]:
        """Teams are protected. The stack file's overrides lift that, for `down` and for leaving a team out."""
        teams, today = protected_urns(self._stack.exported), date.today()
        overrides = self._place.platform.overrides
        named = self._place.let_go
        kept = [t for t in teams if t not in named and override_for(t, "delete", overrides, today) is None]
        if kept and not self._place.whole:
            raise InputError(
                f"protected against deletion: {', '.join(kept)}; nothing was removed.",
                f"correct {self._place.stack_file.name}, or name all of them: "
                f"`make down STACK={self._place.stack} TEAM={','.join(kept)}`",
            )
        if kept:
            line = f"{{team: {kept[0]}, allow: [delete], until: {ends(today)}, reason: the stack is taken down}}"
            raise InputError(
                f"protected against deletion: {', '.join(kept)}; nothing was removed.",
                f"add one line for each below overrides in {self._place.stack_file.name}, like `- {line}`",
            )
        return ["--ignore-protect"] if teams else []

    # --- what a killed run left behind ------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Make a stack ready after a killed run: end its plugins, remove its lock, clear its pending operations."""
        held = self._locks()
        alive = [lock for lock in held if lock.host != socket.gethostname() or is_engine(lock.pid)]
        if alive:
            lock = alive[0]
            raise CommandError(
                f"another run holds stack {self._place.stack}: process {lock.pid} on {lock.host}, since {lock.since}.",
                f"wait for it; if it is surely gone: `pulumi cancel --stack {self._place.stack}`",
            )
        for lock in held:
            end_orphans(lock.pid)
        if held:
            self._stack.capture("cancel", "--yes", "--stack", self._place.stack)
            say.line(f"the last run (process {held[0].pid}, {held[0].since}) was killed: its lock is removed")
        self._settle()

    def _locks(self) -> list[Lock]:
        """Locks of a file backend. For other backends the engine itself reports a lock."""
        if self._stack.backend.folder is None:
            return []
        name = str(project(self._place.root).get("name", ""))
        return read_locks(self._stack.backend.folder / ".pulumi" / "locks" / "organization" / name / self._place.stack)

    def _settle(self) -> None:
        """Clear what a killed run had begun, on the cluster and in the state, because the engine keeps it for ever."""
        if not pending_operations(self._stack.exported) and not half_made(self._stack.exported):
            return
        # read anew: they may be of a run that was at work when the state was read, and that has ended well since
        del self._stack.exported
        pending, installs = pending_operations(self._stack.exported), half_made(self._stack.exported)
        if pending:
            say.line(f"the last run was interrupted in the middle of {len(pending)} operations:")
            say.lines([f"  {one.operation} {one.kind} {one.name}" for one in pending])
        remote = self._stack.backend.folder is None
        if remote and (pending or installs):
            # nothing else shows whether a run is at work: an import takes the backend's lock, or is refused
            self._stack.forget_pending()
        say.lines(owned_half_made(installs, self._host))
        left: list[Pending] = []
        for done in clear(pending, self._connect, left):
            say.line(f"  {done}")
        if pending and not remote and not left:  # an import drops all, and what is left has to be looked at again
            self._stack.forget_pending()

    def _connect(self, operation: Pending) -> AbstractContextManager[Client] | None:
        """The cluster of an operation: the host, or a tenant's, reached by the certificates in its Secret."""
        if self._host is None or not (operation.on_host or operation.tenant):
            return None
        if operation.on_host:
            return connected(self._host)
        text = self._from_certificates(operation.tenant or "")
        return connected(target_of(text, f"Secret {team_secret(operation.tenant or '')}")) if text else None

    def _from_certificates(self, team: str) -> str | None:
        tenant, host = resolve(self._place.platform).get(team), self._host
        if tenant is None or host is None:
            return None
        return from_certificates(lambda path: get_json(host, path, timeout=TIMEOUT), tenant)

    def _go(self, *arguments: str, more: Mapping[str, str] | None = None) -> None:
        """Run a long command of the engine, show its progress, watch the clusters, and explain its failure."""
        command = self._stack.command(*arguments, "--stack", self._place.stack)
        env, shown, before = {**self._stack.env, **(more or {})}, Progress(), self._stack.exported
        stay = tenants(self._place.platform) if arguments[0] == "up" else {}
        with Emptying(self._host, [team_namespace(team) for team in teams_in_state(before) if team not in stay]):
            run, seen = self._watched(command, env, shown, self._host if arguments[0] == "up" else None)
        if not run.whole:
            del self._stack.exported
            say.lines(end_dropped(before, self._stack.exported, self._connect))
        self._judge(arguments[0], run, seen)
        say.lines(shown.removals(teams_in_state(before), stay))

    def _watched(self, command: Sequence[str], env: Env, shown: Progress, host: Target | None) -> Watched:
        """Run the engine while the pods that it waits for are looked at; None: nothing starts during a removal."""
        if host is None:
            return run_shown(command, cwd=self._place.root, env=env, progress=shown), ()
        spaces = {tenant.namespace: name for name, tenant in resolve(self._place.platform).items()}
        read = together(reader(host, [*spaces, *SHARED_NAMESPACES]), self._inner_readers)
        with Watch(read, teams=spaces, stack=self._place.stack, begun=lambda: shown.phase == "Updating") as watching:

            def hopeless(progress: Progress) -> str:
                failure = watching.seen.hopeless()
                idle = time.monotonic() - progress.last_step
                return str(failure) if failure and idle > IDLE_SECONDS and progress.phase == "Updating" else ""

            run = run_shown(command, cwd=self._place.root, env=env, progress=shown, hopeless=hopeless)
        return run, watching.seen.failures

    def _inner_readers(self) -> Iterator[Reader]:
        """Readers of the virtual clusters, for those whose certificates exist."""
        for name in resolve(self._place.platform):
            if name not in self._inside and (text := self._from_certificates(name)):
                self._inside[name] = inner_reader(name, target_of(text, f"Secret {team_secret(name)}"))
            if name in self._inside:
                yield self._inside[name]

    def _judge(self, what: str, run: Run, seen: Sequence[Failure] = ()) -> None:
        """Report the result of a run. Raises `CommandError` unless it succeeded."""
        if run.whole:
            return
        teams = sorted(tenants(self._place.platform))
        again = f"`make {MAKE_TARGET.get(what, what)} STACK={self._place.stack}` goes on from here"
        again += "; let it end before `make up`" if what == "destroy" else ""  # a virtual cluster's volume goes last
        if run.interrupted:
            raise InterruptedRunError("interrupted; what the engine finished is in the state.", again)
        if refusals := from_words(run.text):
            raise refused(refusals)
        kept = keep_words(self._place.root, self._place.stack, what, run.text)
        if run.stopped:
            # the hopeless cause comes first, with every team that has it
            ordered = sorted(seen, key=lambda failure: str(failure) != run.stopped)
            first, *others = distinct(ordered, teams)
            raise CommandError(
                f"{first}; waiting would not have helped, so the run was stopped.",
                f"{first.fix}; {again}",
                detail="\n".join([*also(others), f"the engine's own words: {kept}"]),
            )
        if run.code < 0:
            raise CommandError(
                f"the engine was killed (signal {-run.code}); what it had finished is in the state.", again
            )
        raise explained(
            run.text,
            f"`pulumi {what}` failed with exit code {run.code}",
            tenants=teams,
            stack=self._place.stack,
            kept=kept,
            seen=seen,
        )
