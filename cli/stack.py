"""One stack, by the engine's short commands: where it is, whether it exists, what its state says.

Owns: finding `pulumi`, its environment, making a missing stack with its passphrase, export and outputs.
Leaves to others: the runs that change something (`engine.py`), which backend it is (`backend.py`).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import yaml

import tokens
from cli import say
from cli.backend import (
    BACKEND,
    PASSPHRASE_FILE,
    PASSPHRASE_IN_FILE,
    READ_BY_THE_ENGINE,
    Backend,
    Env,
    find_backend,
    has_passphrase,
    stack_in_folder,
)
from cli.driver import Place
from cli.errors import CommandError, InputError
from cli.failures import explained
from cli.files import write_private
from cli.guards.surroundings import unsteered
from names import Object
from preview.steps import Op, Preview
from settings.load import raw_config
from settings.tenants import tenants
from settings.values import Value

INSTALL: Final = "https://www.pulumi.com/docs/install/"
_NOTHING_THERE: Final = ("no stack named", "unable to open state directory")
NO_SUCH_STACK: Final = 6
"""The engine's exit code for a stack that does not exist (seen with 3.259)."""

QUIET_ENV: Final = {"PULUMI_SKIP_UPDATE_CHECK": "true"}

GARBAGE: Final = "200"
"""Go's GOGC for the engine and its plugins: their garbage is collected half as often as by default. For ten teams that
saves 5 % of the CPU time of a preview, and costs 8 % more memory (docs/runs.md)."""

STEPS_A_CORE: Final = 4
"""The engine's default number of parallel steps for each core."""
FEWEST_STEPS: Final = 32


def parallel() -> int:
    """Return the number of the engine's parallel steps; PULUMI_PARALLEL overrides it.

    Each team waits in at most two steps (a release and its Service, then a Job), and waiting costs nothing. So with 32
    steps sixteen teams come up at once. With the engine's own number the fifth team would wait for the first on a small
    machine; a large machine allows more.
    """
    return max(FEWEST_STEPS, STEPS_A_CORE * (os.cpu_count() or 1))


class Stack:
    """A stack and the `pulumi` that knows it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._binary: str | None = None
        self._read: subprocess.CompletedProcess[str] | None = None
        self.env: Env = {"PULUMI_PARALLEL": str(parallel()), "GOGC": GARBAGE, **unsteered(os.environ), **QUIET_ENV}
        self.backend: Backend = find_backend(self.env, place.root)
        if self.backend.is_ours:
            self.env[BACKEND] = self.backend.url
            kept = place.root / PASSPHRASE_FILE
            if not has_passphrase(self.env) and kept.is_file():
                self.env[PASSPHRASE_IN_FILE] = str(kept)

    def ready(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Find `pulumi` and check its version; read the state beside it, because each start of the engine takes a good
        part of a second. `meanwhile` begins what else is read beside it. Raises `CommandError`."""
        if self._binary is not None:
            meanwhile()
            return
        sdk = installed_version("pulumi")
        binary = shutil.which("pulumi", path=self.env.get("PATH"))
        if binary is None:
            raise CommandError(
                f"`pulumi` is not on PATH, and provider {self._place.platform.host.provider} needs it.",
                f"install version {sdk}: {INSTALL} (the lab needs none: `make up STACK=lab`)",
            )
        self._binary = binary
        meanwhile()
        with ThreadPoolExecutor(max_workers=1) as beside:
            state = beside.submit(self._export)
            check_version(self.capture("version").strip(), sdk)
        self._read = state.result()

    @cached_property
    def exported(self) -> Object:
        """The engine's export of the state, with secrets as ciphertext; empty where the stack does not exist."""
        self.ready()
        answer, self._read = self._read or self._export(), None
        if is_unknown_stack(answer):
            return {}
        found = json.loads(self._said(answer, "stack", "export") or "{}")
        return found if isinstance(found, dict) and found else {"deployment": {}}

    def _export(self) -> subprocess.CompletedProcess[str]:
        return self.ask("stack", "export", "--stack", self._place.stack)

    @property
    def exists(self) -> bool:
        return bool(self.exported)

    def make(self) -> None:
        """Make the stack where it does not exist yet, with a passphrase for the project's own backend."""
        if self.exists:
            self.need_passphrase()
            return
        place = self._place
        if not self.backend.is_ours and stack_in_folder(place.root, place.stack):
            raise InputError(
                f"stack {place.stack} has a state in this folder (.pulumi/state), and none in {self.backend}: a second "
                "one would be made for the same cluster.",
                f"move it (`pulumi stack export` there, `pulumi stack import` here), or unset {self.backend.chosen_by} "
                "to go on with the one in this folder",
            )
        self._make_place()
        self.need_passphrase()
        self.capture("stack", "init", place.stack, "--no-select")
        del self.exported
        say.line(
            f"made stack {place.stack} in {self.backend}; where the engine added encryptionsalt to "
            f"{place.stack_file.name}, keep that line"
        )

    def make_first_place(self) -> None:
        """Make the project's own backend, with a passphrase, where there is none: `pulumi stack init` makes neither."""
        if self.backend.folder is not None and not self.backend.folder.exists():
            self._make_place()

    def _make_place(self) -> None:
        if self.backend.folder is not None and self.backend.is_ours:
            # first what may be refused: an existing folder means that all of this was done
            if not has_passphrase(self.env):
                self._new_passphrase()
            self.backend.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _new_passphrase(self) -> None:
        if "encryptionsalt" in self.raw_stack_file():
            raise InputError(
                f"{self._place.stack_file.name} has an encryptionsalt: it was used with a passphrase, and none is set.",
                "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to it; if it is lost and the file has "
                "no `secure:` value, remove the line encryptionsalt",
            )
        path = self._place.root / PASSPHRASE_FILE
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, secrets.token_urlsafe(32) + "\n")
        self.env[PASSPHRASE_IN_FILE] = str(path)
        say.line(
            "no backend is chosen, so the state is kept in this folder, with a passphrase of its own: "
            f"{PASSPHRASE_FILE} (mode 0600). Keep it: without it the secrets in the state can't be read"
        )
        say.line(f'for a plain `pulumi` on the same state: eval "$(make -s env STACK={self._place.stack})"')

    @contextmanager
    def config_arguments(self) -> Iterator[list[str]]:
        """The engine's arguments where the stack file can't be read: a file with only the state's encryption."""
        if self._place.whole:
            yield []
            return
        provider = (self.exported.get("deployment") or {}).get("secrets_providers") or {}
        said = provider.get("state") or {}
        kept = {"encryptionsalt": said.get("salt"), "secretsprovider": said.get("url")}
        kept["encryptedkey"] = said.get("encryptedkey")
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"Pulumi.{self._place.stack}.yaml"
            path.write_text(yaml.safe_dump({key: value for key, value in kept.items() if value}), encoding="utf-8")
            yield ["--config-file", str(path)]

    def need_passphrase(self) -> None:
        """Raise `InputError` where the engine would ask for a passphrase and none is set."""
        if has_passphrase(self.env) or not self.asks_for_passphrase():
            return
        raise InputError(
            f"the state in {self.backend} is encrypted with a passphrase, and none is set.",
            "set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE to a file that has it",
        )

    def asks_for_passphrase(self) -> bool:
        """Whether the backend asks for a passphrase: the hosted one and the clouds' key services need none."""
        by_cloud = str(self.raw_stack_file().get("secretsprovider", "passphrase")) not in ("passphrase", "default")
        return not by_cloud and not self.backend.url.startswith(("https://", READ_BY_THE_ENGINE))

    def raw_stack_file(self) -> dict[str, Value]:
        if not self._place.whole:
            return {}
        parsed = raw_config(self._place.stack_file)
        return parsed if isinstance(parsed, dict) else {}

    def outputs(self, *flags: str) -> Object:
        """Return the stack's outputs. Raises `CommandError` where it does not exist."""
        answer = json.loads(self.capture("stack", "output", "--json", "--stack", self._place.stack, *flags) or "{}")
        return answer if isinstance(answer, dict) else {}

    def outputs_if_there(self, *flags: str) -> Object | None:
        """Return the stack's outputs; None where it does not exist. They are read together with the state, because each
        start of the engine takes most of a second.
        """
        asked: list[Future[Object]] = []
        with ThreadPoolExecutor(max_workers=1) as beside:
            # an engine that is too old is reported also where the stack does not exist
            self.ready(lambda: asked.append(beside.submit(self.outputs, *flags)))
            return asked[0].result() if self.exists else None

    def forget_pending(self) -> None:
        """Drop the pending operations from the state: by itself the engine keeps them for ever."""
        self.exported["deployment"].pop("pending_operations", None)
        # the export has secrets only as ciphertext, and goes to the engine by a pipe
        self.capture("stack", "import", "--stack", self._place.stack, given=json.dumps(self.exported))

    def command(self, *arguments: str) -> list[str]:
        self.ready()
        assert self._binary is not None
        return [self._binary, "--non-interactive", *arguments]

    def capture(self, *arguments: str, given: str | None = None) -> str:
        """Run a short command of the engine and return its standard output, without showing it."""
        return self._said(self.ask(*arguments, given=given), *arguments)

    def ask(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a short command of the engine, whatever its result."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self._place.root,
            env=self.env,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            check=False,
        )

    def _said(self, answer: subprocess.CompletedProcess[str], *arguments: str) -> str:
        if answer.returncode == 0:
            return answer.stdout
        if is_unknown_stack(answer):
            raise CommandError(
                f"stack {self._place.stack} does not exist yet in {self.backend}.",
                f"`make up STACK={self._place.stack}` makes it",
            )
        raise explained(
            answer.stderr.strip(),
            f"`pulumi {' '.join(arguments[:2])}` failed",
            tenants=sorted(tenants(self._place.platform)),
            stack=self._place.stack,
            kept=None,
        )


# --- pieces that know nothing of a stack ------------------------------------------------------------------------------


def is_unknown_stack(answer: subprocess.CompletedProcess[str]) -> bool:
    """Whether the engine says that there is no such stack, or not even its folder."""
    return answer.returncode == NO_SUCH_STACK or any(words in answer.stderr for words in _NOTHING_THERE)


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


def protected_urns(exported: Object) -> dict[str, list[str]]:
    """Return what the state protects, by team. Other protected resources have their own name as key."""
    resources = (exported.get("deployment") or {}).get("resources") or []
    parents = {entry.get("urn"): entry for entry in resources}
    found: dict[str, list[str]] = {}
    for entry in resources:
        if not entry.get("protect"):
            continue
        owner = entry
        while owner.get("type") != tokens.TEAM and owner.get("parent") in parents:
            owner = parents[owner["parent"]]
        named = owner if owner.get("type") == tokens.TEAM else entry
        found.setdefault(str(named["urn"]).rsplit("::", 1)[-1], []).append(str(entry["urn"]))
    return found


def refuse_protected(preview: Preview, exported: Object, going: Collection[str], stack: str) -> None:
    """Raise `CommandError` for what `up` will be refused though a preview with `--ignore-protect` shows it: what the
    state protects and no override lets go. `going`: the teams that go.

    (Engine v3.259.0: pkg/resource/deploy/step.go, step_generator.go.)
    """
    kept = {urn for name, urns in protected_urns(exported).items() if name not in going for urn in urns}
    found = [
        step.urn
        for step in preview.changes
        if step.urn in kept and (step.op is Op.DELETE or (step.op is Op.REPLACE and step.protect))
    ]
    if found:
        raise CommandError(
            f"the engine will not delete or replace what the state protects: {', '.join(found)}.",
            "undo what takes it away; if it may go: "
            + ", ".join(f"`pulumi state unprotect '{urn}' --stack {stack}`" for urn in found),
        )
