"""Drives the lab: up, preview, outputs, status, down, reset.

Owns: the steps for one stack, their messages, and the files other than the servers' own.
Leaves to others: everything that touches a server.
"""

import json
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pulumi
import yaml

from components.team.tenant import resolve
from lab import binaries, simulate
from lab.backend import LabBackend
from lab.clusters import HOST, Cluster, Clusters
from lab.data import plain
from lab.engine import PROJECT, Monitor, Recorded, run, tally
from lab.errors import LabError, RefusedChangeError
from lab.objects import Json, Objects
from lab.record import write_whole
from lab.show import Show
from lab.state import Entry, State
from lab.usage import usage_now
from preview.gate import Refusal, gate_preview
from preview.read import read_preview
from preview.steps import Preview
from preview.usage import Usage
from preview.values import SECRET, SIGNATURE_KEY
from settings.load import engine_config, load_stack_file
from settings.models import Override
from settings.problems import SettingsError

# the kubeconfig for a program where no server runs yet: valid, but nothing answers there
PLACEHOLDER = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "kwok-host",
    "contexts": [{"name": "kwok-host", "context": {"cluster": "kwok-host", "user": "kwok-host"}}],
    "clusters": [{"name": "kwok-host", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "kwok-host", "user": {}}],
}
MADE_BY = "the lab"
Policies = Callable[[Sequence[Recorded]], Sequence[str]]  # violations, one line each


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run did, or a preview would do. `failures` and `violations` are one line each, cause first."""

    stack: str
    recorded: tuple[Recorded, ...]
    counts: dict[str, int]
    failures: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()  # the gate's refusals; then nothing was changed
    usage: Usage | None = None  # what ran before; None: nobody asked
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.failures and not self.violations and not self.refusals

    @property
    def changes(self) -> int:
        return sum(count for op, count in self.counts.items() if op not in ("same", "failed"))

    @property
    def unvalidated(self) -> int:
        return sum("not validated" in item.note for item in self.recorded)

    def steps(self) -> list[Json]:
        """As `pulumi preview --json` lists them."""
        return [item.step() for item in self.recorded if item.op != "failed"]

    def digest(self) -> Json:
        """The preview in the format of `pulumi preview --json`."""
        failures = [{"severity": "error", "message": failure} for failure in self.failures]
        return {"madeBy": MADE_BY, "steps": self.steps(), "changeSummary": self.counts, "diagnostics": failures}

    def read(self) -> Preview:
        """The same, read by the one reader of previews."""
        return read_preview(json.dumps(self.digest()), where="the lab's preview")

    def text(self) -> str:
        ops = ", ".join(f"{count} {op}" for op, count in sorted(self.counts.items())) or "nothing"
        open_ones = f", {self.unvalidated} not validated" if self.unvalidated else ""
        return f"{ops}: {self.changes} changes{open_ones}, in {self.seconds:.0f} s"


class LabDriver:
    """The lab of one stack. Its files lie in `<root>/.lab/<stack>`; `root` holds the program's `__main__.py`."""

    def __init__(
        self, stack_name: str, stack_file: Path, root: Path, show: Show | None = None, policies: Policies | None = None
    ) -> None:
        self.stack, self.stack_file, self.root = stack_name, stack_file, root.absolute()
        self.home = self.root / ".lab" / stack_name
        self.show = show or Show()
        self._policies = policies
        self.clusters = Clusters(self.home, lambda: binaries.ensure(self.show))

    # commands

    def up(self) -> Summary:
        """Make the lab what the stack file says. Raises LabError where it cannot even begin."""
        started = time.monotonic()
        platform = load_stack_file(self.stack_file)  # report every mistake of the file before anything starts
        with self.clusters.held():
            self._first_line(self.clusters.find(HOST))
            self.clusters.mend_all()
            state = State(self.home / "state.json")
            if self._policies or state.entries:
                planned = self._planned(started, platform.overrides)
                if planned.violations or planned.refusals:
                    return planned
            ports = {name: tenant.node_port for name, tenant in resolve(platform).items()}
            self.clusters.refuse_taken({name: port for name, port in ports.items() if port is not None})
            fresh = self.clusters.find(HOST) is None
            if fresh:
                binaries.ensure(self.show)
                with self.show.task("lab: starting the host's API server"):
                    host = self.clusters.ensure(HOST)
                self.show.line(f"lab: cluster UID {host.uid}")
            simulate.place(Objects(HOST, self.clusters.client(HOST)), simulate.world(platform))
            recorded, monitor = self._run(dry_run=False)
            failures = list(monitor.failures)
            if not failures:
                state = State(self.home / "state.json")
                backend = LabBackend(self.clusters, state, dry_run=False)
                recorded += self._delete_absent(backend, state, recorded, failures)
            if monitor.outputs:  # after a failure, too: what succeeded has its outputs
                self._keep_outputs(monitor.outputs)
            self.clusters.mend_all()
            return self._summary(started, recorded, failures)

    def preview(self) -> Summary:
        """What `up` would do; changes nothing, and needs neither a running lab nor its programs."""
        started = time.monotonic()
        platform = load_stack_file(self.stack_file)
        with self.clusters.held():
            host = self.clusters.find(HOST)
            self._first_line(host)
            if not host:
                self.show.line("lab: no API server runs, so nothing is validated against one (`make up` starts them)")
            summary = self._planned(started, platform.overrides)
        if not self.clusters.names() and not State(self.home / "state.json").entries:
            self.clusters.stop_all()  # only the lock existed: a preview leaves nothing
        return summary

    def outputs(self, *, show_secrets: bool = False) -> Json:
        """The outputs of the last `up`; secrets only where they are asked for. Raises LabError before the first."""
        try:
            found = json.loads((self.home / "outputs.json").read_text())
        except FileNotFoundError:
            raise LabError(f"lab: stack {self.stack} has no outputs yet.", "run `make up`.") from None
        shown = plain(found) if show_secrets else _hidden(found)
        return dict(shown)

    def host_kubeconfig(self) -> str | None:
        """The kubeconfig of the server that stands in for the host; None where it does not run."""
        host = self.clusters.find(HOST)
        return host.kubeconfig.read_text() if host else None

    def down(self) -> None:
        """Delete everything in reverse, end every server, remove the lab's files. Does nothing where there is no lab.

        Raises RefusedChangeError, and touches nothing, where a team must stay: teams are protected, as with the engine.
        """
        if not self.home.exists():
            self.show.line(f"lab: stack {self.stack} has no lab; nothing to do")
            return
        with self.clusters.held():
            self._first_line(self.clusters.find(HOST))
            failures: list[str] = []
            state = State(self.home / "state.json")
            everything = [_deleted(entry) for entry in reversed(state.entries.values())]
            planned = self._summary(time.monotonic(), everything, ())
            if refusals := self._refused(planned, self._overrides(), usage_now(self.clusters)):
                raise RefusedChangeError(refusals)
            self._delete_absent(LabBackend(self.clusters, state, dry_run=False), state, [], failures)
            for failure in failures:  # the servers are ended all the same, with everything in them
                self.show.line(f"lab: {failure}")
            self.clusters.stop_all()
        self.show.line("lab: every API server is ended and the lab's files are removed")

    def reset(self) -> None:
        self.clusters.stop_all()
        self.show.line(f"lab: the lab of stack {self.stack} is gone")

    # steps

    def _planned(self, started: float, overrides: Sequence[Override]) -> Summary:
        """What a run would do, with the results of the policies and the gate."""
        recorded, monitor = self._run(dry_run=True)
        kept = {item.urn for item in recorded}
        entries = State(self.home / "state.json").entries
        recorded += [_deleted(entry) for urn, entry in reversed(entries.items()) if urn not in kept]
        violations = tuple(self._policies(recorded)) if self._policies else ()
        summary = self._summary(started, recorded, monitor.failures, violations)
        usage = usage_now(self.clusters)
        return replace(summary, usage=usage, refusals=self._refused(summary, overrides, usage))

    def _refused(self, planned: Summary, overrides: Sequence[Override], usage: Usage) -> tuple[Refusal, ...]:
        """The gate's refusals. Where nothing was made yet, nothing can be lost."""
        if not State(self.home / "state.json").entries:
            return ()
        return tuple(gate_preview(planned.read(), usage=usage, overrides=overrides, today=date.today()))

    def _overrides(self) -> tuple[Override, ...]:
        """The stack file's overrides; none where the file is broken or gone."""
        try:
            return load_stack_file(self.stack_file).overrides
        except SettingsError:
            return ()

    def _first_line(self, host: Cluster | None) -> None:
        uid = f"cluster UID {host.uid}" if host else "cluster not started yet"
        context = host.context if host else f"kwok-{HOST}"
        self.show.line(f"SIMULATION (the lab, no real cluster, no GPU): stack {self.stack}, context {context}, {uid}")

    def _run(self, *, dry_run: bool) -> tuple[list[Recorded], Monitor]:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = State(self.home / "state.json")
        backend = LabBackend(self.clusters, state, dry_run=dry_run)
        with self.show.task("lab: preview" if dry_run else "lab: apply") as task:
            monitor = Monitor(
                backend, state, self.clusters.lab_id, lambda item: task.tell(item.name, len(monitor.recorded))
            )
            try:
                run(self._program, monitor, stack=self.stack, dry_run=dry_run, config=self._config())
            except pulumi.RunError as error:  # the program's own message
                raise LabError(f"{error}.", "correct it, then run again.") from None
        return list(monitor.recorded.values()), monitor

    def _program(self) -> None:
        sys.path.insert(0, str(self.root))
        try:
            runpy.run_path(str(self.root / "__main__.py"), run_name="__main__")
        finally:
            sys.path.remove(str(self.root))

    def _config(self) -> dict[str, str]:
        """The program's configuration, as the real engine would hand it over: text, objects as JSON."""
        text = engine_config(self.stack_file)
        host = self.clusters.find(HOST)
        kubeconfig = host.kubeconfig.read_text() if host else yaml.safe_dump(PLACEHOLDER)
        return {**text, f"{PROJECT}:kubeconfig": kubeconfig}

    def _delete_absent(
        self, backend: LabBackend, state: State, recorded: Sequence[Recorded], failures: list[str]
    ) -> list[Recorded]:
        kept = {item.urn for item in recorded}
        absent = [entry for urn, entry in state.entries.items() if urn not in kept]
        gone = {entry.urn for entry in absent}
        done = []
        for entry in reversed(absent):
            try:
                backend.delete(entry, gone)
            except LabError as error:
                failures.append(f"{entry.name}: {error}")
            else:
                done.append(_deleted(entry))
        try:
            backend.finish_deletes()
        except LabError as error:
            failures.append(str(error))
        return done

    def _keep_outputs(self, outputs: Json) -> None:
        # contains the teams' kubeconfigs
        write_whole(self.home / "outputs.json", json.dumps(plain(outputs, unwrap=False)))

    def _summary(
        self, started: float, recorded: list[Recorded], failures: Sequence[str], violations: tuple[str, ...] = ()
    ) -> Summary:
        return Summary(
            stack=self.stack,
            recorded=tuple(recorded),
            counts=tally(recorded),
            failures=tuple(failures),
            violations=violations,
            seconds=time.monotonic() - started,
        )


def _deleted(entry: Entry) -> Recorded:
    return Recorded(
        urn=entry.urn,
        type=entry.type,
        name=entry.name,
        inputs={},
        custom=entry.custom,
        parent=entry.parent,
        op="delete",
        old_inputs=entry.inputs,
    )


def _hidden(value: object) -> Json:
    def hide(item: object) -> object:
        if isinstance(item, dict):
            return SECRET if SIGNATURE_KEY in item else {key: hide(inner) for key, inner in item.items()}
        return [hide(inner) for inner in item] if isinstance(item, list) else item

    found = hide(value)
    return found if isinstance(found, dict) else {}
