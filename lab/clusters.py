"""The lab's API servers: one stands in for the host cluster, one for each team's virtual cluster.

Owns: their processes, ports, kubeconfigs and the record of what this lab started, all in one folder (`.lab`).
Leaves to others: their content (`engine.py`, `simulate.py`).

kwokctl makes each server from the programs of `binaries.py`: etcd, kube-apiserver, controller manager, scheduler, kwok.
On a busy machine the last three may give up when they get no answer for some seconds. They are started again, and the
server counts as running meanwhile. A server that lost its API server or its etcd is made anew: its content is
simulated, and the engine puts back the recorded objects.
"""

import contextlib
import fcntl
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import yaml
from lightkube import Client, KubeConfig

from kube import meet_types
from lab import marker
from lab.binaries import Binaries
from lab.errors import LabError
from lab.kwok import (
    CORE_PROGRAMS,
    HELPER_PROGRAMS,
    LISTENERS,
    SCHEDULER_CONFIG,
    SERVER_PROGRAMS,
    authority,
    forget,
    inline,
    kwokctl_config,
    last_words,
)
from lab.processes import LOOPBACK, commands, is_free
from lab.record import LabRecord, Record, read, write

HOST = "host"
FIELD_MANAGER = "gpu-tenancy-lab"
# below the NodePorts of stack files and below the range of outgoing connections on Linux and macOS, so none of these
# can take a remembered port
PORTS = range(21000, 30000)
START_SECONDS = 300  # an idle machine needs 6 to 10; a busy one is only slow
RESET = "run `make lab-reset`, then run the command again"
MOST_RESTARTS = 8  # for one server's helpers in one run: if they end more often, a busy machine is not the cause
PROBE_SECONDS = 5.0
CLOSE_SECONDS = 3.0  # a killed process loses its command line before the kernel closes its sockets


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A server that this lab started and that has just answered. `uid`: the UID of its namespace kube-system."""

    name: str
    server: str
    uid: str
    kubeconfig: Path

    @property
    def context(self) -> str:
        return f"kwok-{self.name}"


class Clusters:
    """Every server of the lab in `home`. Safe to use from several threads, by one process at a time (see `held`)."""

    def __init__(self, home: Path, binaries: Callable[[], Binaries]) -> None:
        self.home = home.absolute()
        self._binaries = binaries
        self._guard = threading.RLock()
        self._clients: dict[str, Client] = {}
        self._restarts: dict[str, int] = {}
        self._verified: dict[str, Cluster] = {}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs away from this lab. Raises LabError when one is at work."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LabError(
                    f"lab: another command is at work on {self.home}.", "wait for it to end, then run this one again."
                ) from None
            yield

    # asking

    @property
    def lab_id(self) -> str:
        return self._read().id

    def names(self) -> list[str]:
        return list(self._read().clusters)

    def find(self, name: str) -> Cluster | None:
        """The server `name` if it runs, else None. Raises LabError where another server answers in its place."""
        with self._guard:
            if name in self._verified:
                return self._verified[name]
            record = self._read().clusters.get(name)
            if not record or not record.uid or not self._running(name) >= CORE_PROGRAMS:
                return None
            uid = self._identity(name)
            if uid is None:
                return None
            if uid != record.uid:
                raise LabError(
                    f"lab: the API server at {self._server(record)} is not the one that this lab started"
                    f" (its UID is {uid}, expected {record.uid}).",
                    "stop that server, or choose new ports with `make lab-reset`.",
                )
            self._verified[name] = Cluster(
                name=name, server=self._server(record), uid=uid, kubeconfig=self.kubeconfig(name)
            )
            return self._verified[name]

    def by_kubeconfig(self, text: str, what: str) -> str:
        """The name of the server that a kubeconfig trusts. Raises LabError where it is not a server of this lab.

        Servers are told apart by their certificate authorities, not by addresses: a stack file may give a team's API an
        address that only a real cluster serves.
        """
        trusted, server = authority(text, what)
        for name in self.names():
            file = self.kubeconfig(name)
            if file.exists() and trusted == authority(file.read_text(), name)[0]:
                return name
        raise LabError(
            f"lab: {what} names the cluster {server}, which this lab did not start; nothing was sent to it.",
            "use the real engine for real clusters (a stack whose host.provider is not `lab`).",
        )

    def client(self, name: str) -> Client:
        """A client for a server from `find` or `ensure`."""
        with self._guard:
            if name not in self._clients:
                self._clients[name] = self._connect(name, 30.0)
            return self._clients[name]

    def kubeconfig(self, name: str) -> Path:
        return self.home / f"kubeconfig-{name}"

    # making and ending

    def ensure(self, name: str, port: int | None = None) -> Cluster:
        """The server `name`, started if it does not run, at `port` if one is asked for. Raises LabError."""
        if self.names().count(name):
            self.mend(name)
        found = self.find(name)
        if found and (not port or found.server.endswith(f":{port}")):
            return found
        self._end(name)
        with self._guard:
            lab = self._read()
            record = lab.clusters.get(name) or Record(ports={})
            record.ports = self._ports(name, lab, record, asked=port)
            record.uid = ""  # not ready: the next run makes it anew
            lab.clusters[name] = record
            self._write(lab)
        self._start(name, record)
        inline(self.kubeconfig(name))
        marker.put(self.client(name), name, lab.id, manager=FIELD_MANAGER, seconds=START_SECONDS)
        uid = self._identity(name)
        if not uid:
            raise LabError(f"lab: the API server `{name}` does not answer.", f"{RESET}.")
        self.mend(name)
        with self._guard:
            lab = self._read()
            lab.clusters[name].uid = uid
            self._write(lab)
        cluster = self.find(name)
        if not cluster:
            gone = sorted(CORE_PROGRAMS - self._running(name)) or ["kube-apiserver"]
            raise LabError(
                f"lab: {gone[0]} of the API server `{name}` ended right after its start:"
                f" {last_words(self._folder(name), gone[0])}",
                f"run the command again; its logs are in {self._folder(name) / 'logs'}.",
            )
        return cluster

    def mend(self, name: str) -> bool:
        """Start ended programs of a running API server again; return whether there were any. Raises LabError where they
        keep ending.
        """
        with self._guard:  # locked from here on: two threads that wait for one server start its programs only once
            running = self._running(name)
            missing = HELPER_PROGRAMS - running
            if not missing or not running >= CORE_PROGRAMS:
                return False
            self._restarts[name] = self._restarts.get(name, 0) + 1
            program = min(missing)
            if self._restarts[name] > MOST_RESTARTS:
                raise LabError(
                    f"lab: {program} of the API server `{name}` keeps ending:"
                    f" {last_words(self._folder(name), program)}",
                    "end other work on this machine and run the command again, or run `make lab-reset`.",
                )
            for each in missing:
                forget(self._folder(name), each)
            self._kwokctl(name, "start", "cluster", "--name", name)
        return True

    def mend_all(self) -> None:
        """The same for every running server, because nobody waits for a program that ended after its start."""
        for name in self.names():
            if self.find(name):
                self.mend(name)

    def stop(self, name: str) -> None:
        """End the server and forget it; fine if there is none."""
        self._end(name)
        with self._guard:
            lab = self._read()
            if lab.clusters.pop(name, None):
                self._write(lab)

    def stop_all(self) -> None:
        """End everything that this lab started, in any state, and remove its folder."""
        self._end(None)
        shutil.rmtree(self.home, ignore_errors=True)
        with contextlib.suppress(OSError):  # other stacks' labs may be beside this one
            self.home.parent.rmdir()

    def _read(self) -> LabRecord:
        with self._guard:
            return read(self.home)

    def _write(self, lab: LabRecord) -> None:
        with self._guard:
            write(self.home, lab)

    def _folder(self, name: str) -> Path:
        return self.home / "kwok" / "clusters" / name

    def _server(self, record: Record) -> str:
        return f"https://{LOOPBACK}:{record.ports['kubeApiserver']}"

    # ports

    def _ports(self, name: str, lab: LabRecord, record: Record, asked: int | None) -> dict[str, int]:
        """The ports for a server: its old ones where they are free, or others. Raises LabError where the stack file's
        port for a team is taken, because the lab must not change that one.
        """
        if asked and not is_free(asked):
            raise LabError(
                f"lab: port {asked} (kubeApiserver of the API server `{name}`) is taken by another program.",
                "stop that program (another checkout's lab? a NodePort of a Kubernetes here?), "
                "or give the team another `access.port`.",
            )
        taken = {port for known in lab.clusters.values() for port in known.ports.values()}
        free = (port for port in random.sample(PORTS, len(PORTS)) if port not in taken and is_free(port))
        kept = {listener: port for listener, port in record.ports.items() if is_free(port)}
        found = {listener: kept.get(listener) or next(free) for listener in LISTENERS}
        return {**found, "kubeApiserver": asked} if asked else found

    def refuse_taken(self, ports: Mapping[str, int]) -> None:
        """Raise LabError where another program has the stack file's port for a team's server. Called before anything is
        downloaded or built, because a Kubernetes on this machine may have the same NodePorts.
        """
        for team, port in ports.items():
            known = self._read().clusters.items()
            # look at its processes, not for an answer: a server that lost its etcd holds its port until it is made anew
            ours = any(record.ports.get("kubeApiserver") == port and self._running(name) for name, record in known)
            if not ours and not is_free(port):
                raise LabError(
                    f"lab: port {port}, which team {team}'s API server gets, is taken by another program here.",
                    f"stop it (a NodePort of another Kubernetes?), or set teams.{team}.access.port to another port.",
                )

    # starting

    def _start(self, name: str, record: Record) -> None:
        programs = self._binaries()
        config = self.home / f"kwok-{name}.yaml"
        scheduler = self.home / "scheduler.yaml"
        scheduler.write_text(yaml.safe_dump(SCHEDULER_CONFIG))
        config.write_text(yaml.safe_dump(kwokctl_config(programs, record.ports, scheduler)))
        where = ("--config", str(config), "--kubeconfig", str(self.kubeconfig(name)))
        # it only waits for the API; `mend` makes sure that all of the server's programs run
        code, said = self._kwokctl(name, "create", "cluster", "--name", name, *where)
        if code:
            lines = [line.strip() for line in said.splitlines() if line.startswith(("ERROR", "Error", "Usage"))]
            cause = lines[0] if lines else (said.strip().splitlines() or ["no output"])[-1]
            raise LabError(f"lab: the API server `{name}` does not start: {cause}", f"{RESET}.")

    def _kwokctl(self, name: str, *arguments: str) -> tuple[int, str]:
        """Run kwokctl for one server; return its exit code and its output. Raises LabError where it does not end."""
        # a home of its own, too: kwokctl keeps a discovery cache in ~/.kube
        env = {**os.environ, "KWOK_WORKDIR": str(self.home / "kwok"), "HOME": str(self.home / "kwok")}
        env.pop("KUBECONFIG", None)
        child = subprocess.Popen(
            [str(self._binaries().kwokctl), *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            umask=0o077,  # only the user can read keys and kubeconfig, from the start
            start_new_session=True,  # ctrl-c comes to us; we decide what happens to it
        )
        try:
            _, said = child.communicate(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            cause = last_words(self._folder(name), "kube-apiserver")
            self._end(name)
            child.wait()
            raise LabError(
                f"lab: the API server `{name}` does not start within {START_SECONDS} s: {cause}",
                f"end other work on this machine, or {RESET}.",
            ) from None
        except BaseException:
            self._end(name)
            child.wait()
            raise
        return child.returncode, said

    def _connect(self, name: str, seconds: float) -> Client:
        meet_types()
        config = KubeConfig.from_file(self.kubeconfig(name)).get()
        # trust_env off: no proxy and no in-cluster account of the environment may redirect the lab
        return Client(config=config, field_manager=FIELD_MANAGER, timeout=httpx2.Timeout(seconds), trust_env=False)

    def _identity(self, name: str) -> str | None:
        return marker.identity(lambda: self._connect(name, PROBE_SECONDS), self._read().id)

    # ending

    def _running(self, name: str) -> set[str]:
        return {program for _, program in self._processes(name)}

    def _processes(self, name: str | None) -> list[tuple[int, str]]:
        """The pids and programs that this lab runs for `name`, or for any server, by their command lines. Another
        process may have a recorded pid by now, but only our programs have a path in this lab's folder.
        """
        within = f"{self.home / 'kwok' / 'clusters'}/" + (f"{name}/" if name else "")
        starter = str(self.home / (f"kwok-{name}.yaml" if name else "kwok-"))
        found = []
        for pid, command in commands():
            program = Path(command[0]).name
            line = " ".join(command)
            if (program in SERVER_PROGRAMS and within in line) or (program == "kwokctl" and starter in line):
                found.append((pid, program))
        return found

    def _end(self, name: str | None) -> None:
        deadline = time.monotonic() + 15
        # kwokctl first, because it could start others meanwhile. killed at once: their data are not kept
        while alive := sorted(self._processes(name), key=lambda entry: entry[1] != "kwokctl"):
            for pid, _ in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise LabError(
                    f"lab: processes {sorted(pid for pid, _ in alive)} do not end.",
                    "end them by hand, then run the command again.",
                )
            time.sleep(0.05)
        self._await_ports(name)
        with self._guard:
            for known in [name] if name else list(self._clients):
                self._verified.pop(known, None)
                if client := self._clients.pop(known, None):
                    client.close()
        if name:
            shutil.rmtree(self._folder(name), ignore_errors=True)
            kubeconfig = self.kubeconfig(name)
            # a kwokctl that is killed while it writes leaves its lock, and the next one then writes nothing
            for file in (kubeconfig, Path(f"{kubeconfig}.lock"), self.home / f"kwok-{name}.yaml"):
                file.unlink(missing_ok=True)

    def _await_ports(self, name: str | None) -> None:
        """Wait until the ended programs no longer listen. Another program's port stays taken, and is reported later."""
        try:
            records = self._read().clusters
        except LabError:  # a damaged record must not keep a reset from working
            return
        ports = [port for known, record in records.items() if name in (None, known) for port in record.ports.values()]
        deadline = time.monotonic() + CLOSE_SECONDS
        while not all(map(is_free, ports)) and time.monotonic() < deadline:
            time.sleep(0.05)
