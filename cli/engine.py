"""The real engine: `pulumi` on PATH, a backend made ready, runs that can be interrupted and taken up again.

Owns: finding `pulumi`, the local file backend with its passphrase, stack init, running the engine with its progress
shown and its failure explained, what a killed run left behind (its lock, its pending operations).
Leaves to others: what a message means (`causes.py`), what is created (`__main__.py` of the project).

The SDK's Automation API is not used: it neither waits for the engine after Ctrl-C nor keeps stdout and stderr in order.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import yaml
from lightkube import Client
from lightkube.resources.core_v1 import Secret

from cli import say
from cli.causes import Failure, explain, without_noise
from cli.cluster import Identity, Target, connected, target_of
from cli.driver import Json, Place, TeamState
from cli.errors import CommandError, InputError, InterruptedRunError
from cli.files import write_private
from cli.resume import Pending, clear, pending_operations
from cli.status import TEAM_TYPE, kubeconfig_in, team_states, teams_in_state
from cli.waiting import Watch, reader
from components.team.protection import override_for
from components.team.tenant import resolve
from kube import team_kubeconfig
from names import HOST_NAMESPACE, KAI_NAMESPACE, team_secret
from policies.config import PACK, pack_arguments
from settings.load import raw_config
from settings.tenants import tenants
from settings.values import Value

INSTALL: Final = "https://www.pulumi.com/docs/install/"
LOCAL_STATE: Final = Path(".pulumi/state")
PASSPHRASE_FILE: Final = Path(".pulumi/passphrase")
NO_SUCH_STACK: Final = 6
"""The engine's exit code for a stack that does not exist (seen with 3.259)."""

QUIET_ENV: Final = {"PULUMI_SKIP_UPDATE_CHECK": "true"}
HIDDEN_OUTPUTS: Final = frozenset({"kubeconfigs"})
SECRET_KUBECONFIG: Final = "gpu-tenancy:kubeconfig"
STACK_ROW: Final = re.compile(r"^.{4}pulumi:pulumi:Stack ")
MASKED: Final = "[secret]"
ORPHANS_SECONDS: Final = 5.0
"""How long the plugins of a killed engine may finish the call that they are in before they are ended: the Kubernetes
provider would wait on for minutes, for nobody."""

PARALLEL: Final = 32
"""Steps that the engine works at together. Each team waits in two at most (a release and its Service, then a Job), and
waiting costs nothing: sixteen teams come up at once. The engine's own number is four for each core of the machine that
it runs on, so on a small runner the fifth team would wait for the first. PULUMI_PARALLEL overrides it."""

SHARED_NAMESPACES: Final = (HOST_NAMESPACE, KAI_NAMESPACE, "nvidia-device-plugin", "gpu-operator")
"""Where the host's checks, its KAI and the GPU software run (components/gpu/software.py)."""

Env = dict[str, str]

MAKE_TARGET: Final = {"destroy": "down"}
"""Our word for the engine's command where it is another."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock file of the local file backend: which process holds the stack."""

    path: Path
    pid: int
    host: str
    since: str


class EngineDriver:
    """Drives a stack by the `pulumi` command."""

    says_first_line = False

    def __init__(self, place: Place, *, env: Mapping[str, str] | None = None) -> None:
        self._place = place
        self._env: Env = {"PULUMI_PARALLEL": str(PARALLEL), **(os.environ if env is None else env), **QUIET_ENV}
        self._binary: str | None = None
        self._host: Target | None = None
        self._is_ours = self._backend_url() is None
        if self._is_ours:
            self._env["PULUMI_BACKEND_URL"] = f"file://{place.root / LOCAL_STATE}"

    # --- the protocol -----------------------------------------------------------------------------------------------

    def environment(self) -> Env:
        """Return the environment in which the engine finds this stack's backend and passphrase."""
        self._open_backend(create=False)
        return dict(self._env)

    def own_cluster(self) -> Identity | None:
        """The engine starts none."""
        return None

    def use(self, host: Target | None) -> None:
        """Take the host's connection, to clear what a killed run left there."""
        self._host = host

    def ready(self) -> None:
        """Find `pulumi` and check its version. Raises `CommandError`."""
        binary = shutil.which("pulumi", path=self._env.get("PATH"))
        if binary is None:
            raise CommandError(
                f"`pulumi` is not on PATH, and provider {self._place.platform.host.provider} needs it.",
                f"install version {sdk_version()}: {INSTALL} (the lab needs none: `make up STACK=lab`)",
            )
        self._binary = binary
        check_version(self._capture("version").strip(), sdk_version())

    def secret_kubeconfig(self) -> str | None:
        """Return `gpu-tenancy:kubeconfig` of the stack file, decrypted, where it is set."""
        config = self._raw_stack_file().get("config")
        if not isinstance(config, dict) or SECRET_KUBECONFIG not in config:
            return None
        self.ready()
        self._open_backend(create=True)
        return self._capture("config", "get", SECRET_KUBECONFIG, "--stack", self._place.stack)

    def known_uid(self) -> str | None:
        """Return `cluster.uid` of the outputs."""
        self._open_backend(create=False)
        if not self._stack_exists():
            return None
        found = self._outputs().get("cluster")
        uid = found.get("uid") if isinstance(found, dict) else None
        return uid if isinstance(uid, str) and uid != MASKED else None

    def up(self) -> None:
        """Preview, then update; every team is tried even when one fails."""
        self._open_backend(create=True)
        self._take_up()
        self._let_go()
        self._go("up", "--yes", "--continue-on-error", *self._policies())

    def preview(self) -> None:
        """Show the update's steps in detail."""
        self._open_backend(create=True)
        self._go("preview", "--diff", *self._policies())

    def outputs(self) -> dict[str, Json]:
        """Return what the state says; no secret, so no passphrase is needed."""
        self._open_backend(create=False)
        outputs = self._outputs()
        shown = {key: value for key, value in outputs.items() if key not in HIDDEN_OUTPUTS and value != MASKED}
        return {**shown, "teams": self._teams(outputs)}

    def _teams(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Each team's outputs, also after an update that did not get as far as the stack's."""
        return teams_in_state(self._exported()) or outputs.get("teams") or {}

    def kubeconfig(self, team: str, *, user: bool) -> str:
        """Return the team's kubeconfig from the secret output."""
        self._open_backend(create=False)
        self._need_passphrase()
        outputs = self._outputs("--show-secrets") if self._stack_exists() else {}
        try:
            return kubeconfig_in(outputs, team, user=user, stack=self._place.stack)
        except CommandError:
            text = None if user else self._from_certificates(team)
            if text is None:
                raise
            return text

    def states(self) -> dict[str, TeamState]:
        """Return each tenant's check from the outputs, and whether its API answers."""
        self._open_backend(create=False)
        if not self._stack_exists():
            return {}
        readable = self._has_passphrase() or not self._asks_for_passphrase()
        outputs = self._outputs(*(["--show-secrets"] if readable else []))
        outputs["teams"] = self._teams(outputs)
        return team_states(outputs, self._place.platform, self._from_certificates)

    def down(self) -> None:
        """Destroy everything; the empty stack stays, so that the next `up` needs no init."""
        self._open_backend(create=False)
        if not self._stack_exists():
            say.line(f"stack {self._place.stack} does not exist: nothing to remove")
            return
        self._take_up()
        lifted = self._lift_protection()
        self._go("destroy", "--yes", "--continue-on-error", *lifted)

    def _let_go(self) -> None:
        """Refuse a team left out of the stack file without an override; lift the protection of one with.

        The engine itself would first delete everything of the team that is not protected (its scheduler, its queues,
        its bounds) and only then refuse to delete the rest.
        """
        there = tenants(self._place.platform)
        leaving = {team: urns for team, urns in self._protected().items() if team not in there}
        if kept := self._not_overridden(leaving):
            raise InputError(
                f"left out of the stack file, but protected against deletion: {', '.join(kept)}; nothing was changed.",
                f"put it back, or add a line for each below {self._override_for(kept[0], 'the team is dissolved')}",
            )
        for urns in leaving.values():
            for urn in urns:
                self._capture("state", "unprotect", urn, "--yes", "--stack", self._place.stack)

    def _lift_protection(self) -> list[str]:
        """Teams are protected; the stack file's overrides lift that, for `down` as for leaving a team out."""
        teams = self._protected()
        if kept := self._not_overridden(teams):
            raise InputError(
                f"protected against deletion: {', '.join(kept)}; nothing was removed.",
                f"add one line for each below {self._override_for(kept[0], 'the stack is taken down')}",
            )
        return ["--ignore-protect"] if teams else []

    def _protected(self) -> dict[str, list[str]]:
        return protected_urns(self._exported())

    def _exported(self) -> dict[str, Any]:
        found = json.loads(self._capture("stack", "export", "--stack", self._place.stack) or "{}")
        return found if isinstance(found, dict) else {}

    def _not_overridden(self, teams: Iterable[str]) -> list[str]:
        overrides, today = self._place.platform.overrides, date.today()
        return [team for team in teams if override_for(team, "delete", overrides, today) is None]

    def _override_for(self, team: str, reason: str) -> str:
        line = f"{{team: {team}, allow: [delete], until: {date.today()}, reason: {reason}}}"
        return f"overrides in {self._place.stack_file.name}, like `- {line}`"

    # --- backend and stack ------------------------------------------------------------------------------------------

    def _open_backend(self, *, create: bool) -> None:
        """Point the engine at the user's backend, or at one in the project's folder; make a missing stack."""
        if self._is_ours:
            state = self._place.root / LOCAL_STATE
            state.mkdir(parents=True, exist_ok=True, mode=0o700)
            kept = self._place.root / PASSPHRASE_FILE
            if not self._has_passphrase() and kept.is_file():
                self._env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(kept)
            elif not self._has_passphrase() and create and not self._stack_exists():
                self._new_passphrase(kept)
        if not create:
            return
        self._need_passphrase()
        if not self._stack_exists():
            self._capture("stack", "init", self._place.stack, "--no-select")
            say.line(
                f"made stack {self._place.stack} in {self._backend_url()}; the engine added encryptionsalt to "
                f"{self._place.stack_file.name}, keep that line"
            )

    def _new_passphrase(self, path: Path) -> None:
        if "encryptionsalt" in self._raw_stack_file():
            raise InputError(
                f"{self._place.stack_file.name} has an encryptionsalt: it was used with a passphrase, and none is set.",
                "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to it; if it is lost and the file has "
                "no `secure:` value, remove the line encryptionsalt",
            )
        write_private(path, secrets.token_urlsafe(32) + "\n")
        self._env["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(path)
        say.line(
            f"made a passphrase for the local state: {PASSPHRASE_FILE} (mode 0600). Keep it: without it the secrets in "
            "the state can't be read. For a shared backend set PULUMI_BACKEND_URL and PULUMI_CONFIG_PASSPHRASE"
        )

    def _need_passphrase(self) -> None:
        if self._has_passphrase() or not self._asks_for_passphrase():
            return
        raise InputError(
            f"the state in {self._backend_url()} is encrypted with a passphrase, and none is set.",
            "set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE to a file that has it",
        )

    def _asks_for_passphrase(self) -> bool:
        """The hosted backend and the clouds' key services encrypt without one."""
        by_cloud = str(self._raw_stack_file().get("secretsprovider", "passphrase")) not in ("passphrase", "default")
        return not by_cloud and not (self._backend_url() or "").startswith("https://")

    def _has_passphrase(self) -> bool:
        # an empty passphrase that is set counts: the engine takes it
        return "PULUMI_CONFIG_PASSPHRASE" in self._env or bool(self._env.get("PULUMI_CONFIG_PASSPHRASE_FILE"))

    def _backend_url(self) -> str | None:
        url = self._env.get("PULUMI_BACKEND_URL")
        if url:
            return url
        project = self._project().get("backend")
        found = project.get("url") if isinstance(project, dict) else None
        return str(found) if found else None

    def _project(self) -> dict[str, Any]:
        parsed = yaml.safe_load((self._place.root / "Pulumi.yaml").read_text(encoding="utf-8"))
        return parsed if isinstance(parsed, dict) else {}

    def _raw_stack_file(self) -> dict[str, Value]:
        parsed = raw_config(self._place.stack_file)
        return parsed if isinstance(parsed, dict) else {}

    def _stack_exists(self) -> bool:
        listed = json.loads(self._capture("stack", "ls", "--json") or "[]")
        return any(str(entry.get("name", "")).rsplit("/", 1)[-1] == self._place.stack for entry in listed)

    def _policies(self) -> list[str]:
        there = (self._place.root / PACK / "PulumiPolicy.yaml").is_file()
        return pack_arguments(self._place.stack, self._place.root) if there else []

    # --- what a killed run left behind ------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Make a stack ready whose last run was killed: plugins ended, lock gone, pending creates settled."""
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
            self._capture("cancel", "--yes", "--stack", self._place.stack)
            say.line(f"the last run (process {held[0].pid}, {held[0].since}) was killed: its lock is removed")
        self._settle()

    def _locks(self) -> list[Lock]:
        """Locks of the local file backend. Other backends answer for themselves, in the engine's words."""
        folder = file_backend(self._backend_url())
        if folder is None:
            return []
        project = str(self._project().get("name", ""))
        return read_locks(folder / ".pulumi" / "locks" / "organization" / project / self._place.stack)

    def _settle(self) -> None:
        """Clear what a killed run had begun, on the cluster and in the state: the engine keeps it for ever."""
        deployment = self._exported()
        pending = pending_operations(deployment)
        if not pending:
            return
        say.line(f"the last run was interrupted in the middle of {len(pending)} operations:")
        for operation in pending:
            say.line(f"  {operation.operation} {operation.kind} {operation.name}")
        for done in clear(pending, self._connect):
            say.line(f"  {done}")
        deployment["deployment"].pop("pending_operations", None)
        # the export holds secrets as ciphertext only, and goes to the engine by a pipe
        self._capture("stack", "import", "--stack", self._place.stack, given=json.dumps(deployment))

    def _connect(self, operation: Pending) -> AbstractContextManager[Client] | None:
        """The cluster that an operation was on: the host, or a tenant's by the certificates in its Secret."""
        if self._host is None or not (operation.on_host or operation.tenant):
            return None
        if operation.on_host:
            return connected(self._host)
        text = self._from_certificates(operation.tenant or "")
        return connected(target_of(text, f"Secret {team_secret(operation.tenant or '')}")) if text else None

    def _from_certificates(self, team: str) -> str | None:
        """A tenant's admin kubeconfig from the Secret that its virtual cluster wrote on the host; None without one."""
        tenant = resolve(self._place.platform).get(team)
        if tenant is None or self._host is None:
            return None
        try:
            with connected(self._host) as host:
                secret = host.get(Secret, team_secret(team), namespace=tenant.namespace)
            return team_kubeconfig(team, tenant.server, secret.data or {})
        except (CommandError, KeyError):
            return None

    # --- running the engine -----------------------------------------------------------------------------------------

    def _outputs(self, *flags: str) -> dict[str, Any]:
        answer = json.loads(self._capture("stack", "output", "--json", "--stack", self._place.stack, *flags) or "{}")
        return answer if isinstance(answer, dict) else {}

    def _command(self, *arguments: str) -> list[str]:
        if self._binary is None:
            self.ready()
        assert self._binary is not None
        return [self._binary, "--non-interactive", *arguments]

    def _capture(self, *arguments: str, given: str | None = None) -> str:
        """Run a short command of the engine and return its standard output, which is never shown."""
        result = subprocess.run(
            self._command(*arguments),
            cwd=self._place.root,
            env=self._env,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode == 0:
            return result.stdout
        words = result.stderr.strip()
        if result.returncode == NO_SUCH_STACK or "no stack named" in words:
            raise CommandError(
                f"stack {self._place.stack} does not exist yet in {self._backend_url()}.",
                f"`make up STACK={self._place.stack}` makes it",
            )
        raise self._explained(words, f"`pulumi {' '.join(arguments[:2])}` failed")

    def _go(self, *arguments: str) -> None:
        """Run a long command of the engine with its progress shown; explain its failure."""
        command = self._command(*arguments, "--stack", self._place.stack)
        # a preview waits for no pod, and what is removed has nothing to start
        with self._watch() if arguments[0] == "up" else nullcontext() as watch:
            code, progress, interrupted = run_shown(command, cwd=self._place.root, env=self._env)
        again = f"`make {MAKE_TARGET.get(arguments[0], arguments[0])} STACK={self._place.stack}` goes on from here"
        if interrupted:
            raise InterruptedRunError("interrupted; what the engine had finished is in the state.", again)
        if code == 0:
            progress.release()
            return
        if code < 0:
            raise CommandError(f"the engine was killed (signal {-code}); what it had finished is in the state.", again)
        raise self._explained(
            progress.text,
            f"`pulumi {arguments[0]}` failed with exit code {code}",
            held=progress.held,
            seen=watch.failures if watch else (),
        )

    def _watch(self) -> AbstractContextManager[Watch | None]:
        """Look at the teams' pods while the engine waits for them."""
        if self._host is None:
            return nullcontext()
        spaces = {tenant.namespace: name for name, tenant in resolve(self._place.platform).items()}
        return Watch(reader(self._host, [*spaces, *SHARED_NAMESPACES]), teams=spaces, stack=self._place.stack)

    def _explained(
        self, text: str, otherwise: str, *, held: str | None = None, seen: Sequence[Failure] = ()
    ) -> CommandError:
        names = sorted(tenants(self._place.platform))
        failures = explain(text, tenants=names, stack=self._place.stack, seen=seen)
        detail = without_noise(text if held is None else held).strip()
        if detail:
            detail = f"--- the engine's own words ---\n{detail}"
        if not failures:
            return CommandError(f"{otherwise}.", "see the engine's own words", detail=detail)
        first, rest = failures[0], failures[1:]
        if rest:
            others = "\n".join(f"also: {failure}\n  fix: {failure.fix}" for failure in rest)
            detail = f"{others}\n\n{detail}"
        return CommandError(str(first), first.fix, detail=detail)


# --- pieces that know nothing of a stack ------------------------------------------------------------------------------


def sdk_version() -> str:
    """The version of the SDK in this environment; the engine should be the same or newer."""
    return installed_version("pulumi")


def check_version(engine: str, sdk: str) -> None:
    """Refuse an engine of another major version, warn of an older one. `engine` is like `v3.259.0`."""
    found, wanted = _numbers(engine), _numbers(sdk)
    if found is None or wanted is None:
        say.line(f"note: the engine's version {engine!r} is not one that we can compare with the SDK's {sdk}")
        return
    if found[0] != wanted[0]:
        raise CommandError(
            f"the engine is {engine}, the Python SDK of this project is {sdk}: another major version.",
            f"install {sdk}: {INSTALL}",
        )
    if found < wanted:
        say.line(
            f"note: the engine is {engine}, older than the SDK's {sdk}; if it refuses something, update it: {INSTALL}"
        )


def _numbers(version: str) -> tuple[int, ...] | None:
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return tuple(int(part) for part in match.groups()) if match else None


def file_backend(url: str | None) -> Path | None:
    """Return the folder of a `file://` backend, None for every other kind."""
    if url is None or not url.startswith("file://"):
        return None
    parts = urlsplit(url)
    return Path(unquote(parts.netloc + parts.path)).expanduser()


def read_locks(folder: Path) -> list[Lock]:
    """Return the locks in a folder of the file backend; what is not a lock is left alone."""
    locks: list[Lock] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(path.read_text(encoding="utf-8"))
            locks.append(
                Lock(path=path, pid=int(said["pid"]), host=str(said["hostname"]), since=str(said["timestamp"])[:19])
            )
    return locks


def processes() -> list[tuple[int, str]]:
    """Return (pid, command name) of every process; the same columns on Linux and macOS."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,comm="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 1) for line in listed.splitlines())
    return [(int(row[0]), Path(row[1]).name) for row in rows if len(row) == 2]


def is_engine(pid: int) -> bool:
    """Whether a process is a living engine; a number that another program has by now is not."""
    return any(pid == found and name.startswith("pulumi") for found, name in processes())


def orphans(engine: int) -> list[int]:
    """Return the plugins that a killed engine left running.

    We start each engine as the leader of a session of its own, so what is left of it has the engine's pid as session;
    the engine gives each plugin its own process group, which therefore says nothing.
    """
    left = []
    for pid, name in processes():
        with suppress(ProcessLookupError, PermissionError):
            if name.startswith("pulumi") and os.getsid(pid) == engine:
                left.append(pid)
    return left


def end_orphans(engine: int) -> None:
    """Wait for the plugins of a killed engine, then end them: two runs at once would race for the same objects."""
    deadline = time.monotonic() + ORPHANS_SECONDS
    said = False
    while left := orphans(engine):
        if not said:
            say.line(f"waiting up to {ORPHANS_SECONDS:.0f} s for {len(left)} plugins of the killed run to end")
            said = True
        if time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            return
        time.sleep(0.5)


def protected_urns(exported: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what the state protects, by team. What is protected elsewhere goes by its own name."""
    resources = (exported.get("deployment") or {}).get("resources") or []
    parents = {entry.get("urn"): entry for entry in resources}
    found: dict[str, list[str]] = {}
    for entry in resources:
        if not entry.get("protect"):
            continue
        owner = entry
        while owner.get("type") != TEAM_TYPE and owner.get("parent") in parents:
            owner = parents[owner["parent"]]
        named = owner if owner.get("type") == TEAM_TYPE else entry
        found.setdefault(str(named["urn"]).rsplit("::", 1)[-1], []).append(str(entry["urn"]))
    return found


class Progress:
    """The engine's output, shown as it comes, except "Diagnostics": those are held back, so that after a failure the
    cause can stand first. A later phase (the update after its preview) releases what an earlier one held."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._held: list[str] = []
        self._holding = False
        self._in_traceback = False

    @property
    def text(self) -> str:
        """Everything that the engine said."""
        return "".join(self._parts)

    @property
    def held(self) -> str:
        """What was not shown yet."""
        return "".join(self._held)

    def take(self, line: str) -> None:
        """Take one line, or the beginning of one."""
        self._parts.append(line)
        if line.startswith(("Diagnostics:", "Policies:")):
            self._holding = True
        elif self._holding and line.startswith(("Updating (", "Destroying (", "Previewing ")):
            self.release()
        if self._holding:
            self._held.append(line)
        elif not self._is_noise(line):
            _show(line)

    def _is_noise(self, line: str) -> bool:
        """A traceback in the stack's own progress rows. A real one is in "Diagnostics" again, and shown there."""
        is_row = STACK_ROW.match(line) is not None
        if is_row and "Traceback (most recent call last)" in line:
            self._in_traceback = True
        elif not is_row or re.search(r"\b(?:error|warning): |\b(?:created|updated|deleted|failed)\b", line):
            self._in_traceback = False
        return self._in_traceback

    def release(self) -> None:
        """Show what was held back."""
        _show(without_noise(self.held) + ("\n" if self._held else ""))
        self._held, self._holding = [], False


def _show(text: str) -> None:
    # a reader that has gone (`| head`) must not end an update in the middle
    with suppress(BrokenPipeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def run_shown(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> tuple[int, Progress, bool]:
    """Run the engine with its output on our standard error; return its exit code, its output, and whether Ctrl-C came.

    The engine leads its own session: a Ctrl-C in the terminal reaches us alone, and we hand it on to the engine
    once, which then ends its plugins itself and writes its state. A second Ctrl-C is handed on, too: then the engine
    stops at once.
    """
    progress = Progress()
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        with handed_on(child.send_signal) as came:
            for line in _lines(child.stdout.fileno()):
                progress.take(line)
            code = child.wait()
    return code, progress, bool(came)


@contextmanager
def handed_on(send: Callable[[int], None]) -> Iterator[list[int]]:
    """Hand SIGINT and SIGTERM on as SIGINT, each once; yields the list of those that came."""
    came: list[int] = []

    def handler(number: int, _frame: object) -> None:
        came.append(number)
        if len(came) == 1:
            say.line("\ninterrupted: the engine finishes what it is in the middle of; once more stops it at once")
        with suppress(ProcessLookupError):
            send(signal.SIGINT)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _lines(descriptor: int) -> Iterator[str]:
    """Yield lines as they come, and a line's beginning when nothing follows: the engine's dots are progress, too."""
    rest = b""
    while chunk := os.read(descriptor, 65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace") + "\n"
        # dots only: anything else could be the beginning of a line that is to be held back
        if rest and not rest.strip(b".@ "):
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")
