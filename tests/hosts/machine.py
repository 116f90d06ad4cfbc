"""A host in a folder, with stand-ins of docker, kind, snap, microk8s and k3s that record calls and keep state."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

from components.command import Script
from components.host.install import script
from settings.load import parse_platform
from tests.settings.build import raw

STUB = Path(__file__).with_name("stub.sh")
COMMANDS = sorted(set(re.findall(r'^"([a-z0-9-]+) ', STUB.read_text(), flags=re.MULTILINE)))
"""All commands that the stand-in has a line for."""
KILLED = -signal.SIGKILL


@dataclass
class Host:
    """A host in a folder: its files, its commands, what they were called with."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.home / "root"

    def file(self, path: str, text: str) -> Path:
        found = self.root / path.lstrip("/")
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_text(text)
        return found

    def calls(self) -> list[str]:
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def changes(self) -> list[str]:
        """The calls that change something."""
        asking = (
            "docker info", "docker context", "docker port", "docker network inspect",
            "docker exec gpu-tenancy-control-plane kubectl",
            "kind get", "nvidia-smi", "uname", "df", "id ", "ss ", "getent", "snap list",
            "microk8s status", "docker image inspect", "systemctl is-active", "k3s --version", "k3s kubectl", "ip ",
            "nvidia-ctk runtime configure --runtime=docker --config=" + str(self.root) + "/etc/docker/daemon.json "
            "--set-as-default --cdi.enabled --dry-run",
        )  # fmt: skip
        return [call for call in self.calls() if not call.startswith(asking)]

    def has(self, name: str) -> bool:
        return (self.home / "state" / name).exists()

    def kept(self) -> list[str]:
        """What the stand-ins keep: clusters, snaps, addons and such that are there."""
        return sorted(path.name for path in (self.home / "state").iterdir())

    def state(self, name: str, text: str = "") -> None:
        (self.home / "state").mkdir(exist_ok=True)
        (self.home / "state" / name).write_text(text)

    def run(self, text: str, **more: str) -> tuple[int, str]:
        (self.home / "calls").unlink(missing_ok=True)
        # the stand-ins read it: a script hands on nothing of its caller's environment
        told = {**self.environment, **more}
        (self.home / "told").write_text("".join(f"{key}={shlex.quote(value)}\n" for key, value in told.items()))
        environment = {
            **os.environ,
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}:/snap/bin",
            "HOST_ROOT": str(self.root),
            "WAIT_STEP": "0",
            **told,
        }
        done = subprocess.run(
            ["bash", "-s"],
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        return done.returncode, done.stdout + done.stderr

    def files(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.root)): path.read_text()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "var/lib/gpu-tenancy" not in str(path)
        }


def of(provider: str, more: dict[str, object] | None = None, **changes: object) -> Script:
    """The script of a stack file with this provider."""
    node = {"kind": "gpu-tenancy-worker"}.get(provider, "unit")
    base: dict[str, object] = {
        "host": {"provider": provider, "address": "127.0.0.1", provider: more or {}},
        "pools.gpu": {"nodes": [node], "gpusPerNode": 0, "podsPerNode": 250},
        "teams.ml": None,
        "teams.research": None,
    }
    if provider == "k3s":
        base["gpu"] = {"stack": "devicePlugin", "runtimeClass": {"name": "nvidia", "owner": "cluster"}}
    return script(parse_platform(raw({**base, **changes}), "unit"), (30011, 30500))


def with_gpus(provider: str, more: dict[str, object] | None = None, **changes: object) -> Script:
    node = {"kind": "gpu-tenancy-worker"}.get(provider, "unit")
    return of(provider, more, **{"pools.gpu": {"nodes": [node], "gpusPerNode": 2, "podsPerNode": 250}, **changes})


def owned(found: Script, owner: str = "gpu-tenancy/unit") -> Script:
    return replace(found, variables={**found.variables, "OWNER": owner})


def install(found: Script, owner: str = "gpu-tenancy/unit") -> str:
    return owned(found, owner).text(found.install)


def remove(found: Script, owner: str = "gpu-tenancy/unit") -> str:
    return owned(found, owner).text(found.remove)


K3S_SCRIPT = """\
#!/bin/sh
# as k3s' own: what K3S_ is in its environment is kept for the service, and k3s starts only after a change
set -e
bin=$HOST_ROOT/usr/local/bin service=$HOST_ROOT/etc/systemd/system/k3s.service
[ -x $bin/k3s ]
before=$(cat $bin/k3s $service $service.env 2>/dev/null || true)
[ -L $bin/kubectl ] || ln -s k3s $bin/kubectl
printf '#!/bin/sh\n' >$bin/k3s-killall.sh
cat >$bin/k3s-uninstall.sh <<"EOF"
#!/bin/sh
bin=$HOST_ROOT/usr/local/bin service=$HOST_ROOT/etc/systemd/system/k3s.service
systemctl stop k3s
rm -rf $service $service.env $HOST_ROOT/etc/rancher/k3s $HOST_ROOT/var/lib/rancher/k3s $HOST_ROOT/var/lib/kubelet
[ ! -L $bin/kubectl ] || rm -f $bin/kubectl
rm -f $bin/k3s $bin/k3s-killall.sh $bin/k3s-uninstall.sh
EOF
chmod +x $bin/k3s-uninstall.sh
mkdir -p $HOST_ROOT/etc/systemd/system
env | grep '^K3S_' >$service.env || true
echo "$INSTALL_K3S_EXEC" >$service
systemctl daemon-reload
after=$(cat $bin/k3s $service $service.env)
[ "$before" = "$after" ] && [ "${INSTALL_K3S_FORCE_RESTART:-}" != true ] && exit 0
systemctl restart k3s
cd $HOST_ROOT
mkdir -p etc/rancher/k3s etc/rancher/node var/lib/rancher/k3s/agent/etc/containerd var/log/pods
echo secret >$HOST_ROOT/etc/rancher/node/password
echo log >$HOST_ROOT/var/log/pods/one
touch $HOST_ROOT/etc/rancher/k3s/k3s.yaml $HOST_ROOT/var/lib/rancher/k3s/agent/etc/containerd/config.toml
"""


def k3s_files(host: Host) -> dict[str, object]:
    """k3s' three local files on that host: what `host.k3s` says of them."""
    binary = host.file("/opt/k3s", '#!/usr/bin/env bash\nexec "$HOST_ROOT/../bin/k3s" "$@"\n')
    own = host.file("/opt/install.sh", K3S_SCRIPT)
    images = host.file("/opt/images.tar.zst", "images")
    return {"files": {"binary": str(binary), "script": str(own), "images": str(images)}}


GPU_KIND: dict[str, object] = {"gpus": "all", "changeDocker": True}


def machine(folder: Path) -> Host:
    """A host of 64 GiB with Ubuntu 24.04, and no command but the stand-ins."""
    (folder / "bin").mkdir(parents=True)
    for name in COMMANDS:
        (folder / "bin" / name).symlink_to(STUB)
    found = Host(folder)
    found.file("/proc/meminfo", "MemTotal:       67108864 kB\n")
    found.file("/etc/os-release", 'ID=ubuntu\nVERSION_ID="24.04"\n')
    (found.root / "var/lib").mkdir(parents=True)
    (found.root / "run/systemd/system").mkdir(parents=True)
    return found


def with_docker(host: Host) -> None:
    """Give it Docker with settings of its own, NVIDIA's toolkit, and two GPUs."""
    host.environment["STUB_GPUS"] = "2"
    host.file("/etc/docker/daemon.json", '{"log-driver": "journald"}\n')
    host.file("/etc/nvidia-container-runtime/config.toml", "# as it came\n")
    for name in ("nvidia-ctk", "nvidia-cdi-hook", "nvidia-container-runtime"):
        host.file(f"/usr/bin/{name}", "binary")
