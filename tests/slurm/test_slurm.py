"""SLURM in a stack file: what is refused, what is registered, and the scripts themselves where they can run."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.command import Script
from components.slurm.cluster import script
from settings.slurm import Slurm
from tests.conftest import Declare
from tests.settings.build import mistakes, raw

ROOT = Path(__file__).parents[2]
JOB = ROOT / "docs" / "examples" / "nvidia-smi-job.sh"
COMMAND = "command:local:Command"
REMOTE = "command:remote:Command"
OWNED = {"OWNER": "gpu-tenancy/unit"}
SMALL = {"teams.ml": None, "teams.research": None}
"""The smallest team alone: what is asked here is the host's."""
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample"
REAL_GPUS = int(os.environ.get("GPU_TENANCY_SLURM_GPUS", "0"))
"""So many NVIDIA GPUs of this machine are SLURM's in `TestForReal`; 0: two character devices stand in for them."""
GPUS = REAL_GPUS or 2


class TestStackFile:
    """What the settings refuse."""

    def test_a_host_of_its_own_is_valid(self) -> None:
        assert mistakes({"slurm": {"host": "batch-0", "gpus": 2}}) == []

    def test_a_gpu_has_one_owner(self) -> None:
        assert mistakes({"slurm": {"host": "gpu-0", "gpus": 4}}) == [
            "slurm.host: must be no node of a pool with GPUs: Kubernetes and SLURM would both give away its GPUs, got "
            "'gpu-0', a node of pool gpu with 4 GPUs; take it out of pools.gpu.nodes, or remove slurm"
        ]

    def test_a_node_without_gpus_may_do_both(self) -> None:
        platform = {"pools.cpu": {"nodes": ["cpu-0"], "gpusPerNode": 0}, "slurm": {"host": "cpu-0", "gpus": 0}}
        assert mistakes(platform) == []

    @pytest.mark.parametrize(
        ("slurm", "said"),
        [
            ({"host": "b", "gpus": 2, "devices": ["/dev/null"]}, "slurm.devices: must name one device for each GPU"),
            ({"host": "b", "gpus": 1, "devices": ["nvidia0"]}, "must be a path below /dev"),
            ({"host": "b", "gpus": 1, "devices": ["/dev/a b"]}, "without spaces and quotes"),
            ({"host": "b", "gpus": 1, "devices": ["/dev/a\nb"]}, "without spaces and quotes"),
            ({"host": "b", "gpus": 2, "devices": ["/dev/null"] * 2}, "slurm.devices[1]: must name each device once"),
            ({"host": "B_1", "gpus": 1}, "must be a DNS label"),
            ({"host": "b", "gpus": -1}, "slurm.gpus"),
            ({"host": "b", "gpus": 1, "connection": {"ssh": {"host": "x; reboot", "key": "k", "hostKey": HOST_KEY}}},
             "slurm.connection.ssh.host"),
            ({"host": "b", "gpus": 1, "connection": {"ssh": {"host": "x", "key": "k"}}}, "hostKey"),
        ],
    )  # fmt: skip
    def test_bad_input_is_told(self, slurm: dict[str, object], said: str) -> None:
        found = mistakes({"slurm": slurm})
        assert len(found) == 1, found
        assert said in found[0]


class TestProgram:
    """What is registered."""

    def test_without_the_section_there_is_no_command(self, declare: Declare) -> None:
        recorder = declare(raw(SMALL))
        assert recorder.of_type(COMMAND) == recorder.of_type(REMOTE) == []

    def test_a_local_command_installs_and_takes_back(self, declare: Declare) -> None:
        slurm = {"host": "batch-0", "gpus": 2, "gpuType": "h100"}
        recorder = declare({**raw(SMALL), "slurm": slurm})
        found = recorder.one(COMMAND, "slurm-host")
        assert found.inputs["create"] == "bash -s"
        text = found.inputs["stdin"]
        assert "export SLURM_HOST=batch-0\n" in text
        assert "export SLURM_GPU_COUNT=2\n" in text
        assert "check_host\nlock\n" in text
        assert "removing" in recorder.one(COMMAND, "slurm-host-removal").inputs["stdin"]
        assert found.inputs["addPreviousOutputInEnv"] is False
        assert "triggers" not in found.inputs, "a trigger would replace it, and a replacement removes the new one"

    def test_its_scripts_are_told_what_the_stack_file_says(self) -> None:
        said = Slurm(
            host="batch-0",
            gpus=2,
            gpu_type="h100",
            partition="gpu",
            adopt=True,
            devices=("/dev/nvidia0", "/dev/nvidia1"),
        )
        assert script(said).variables == {
            "PART": "slurm",
            "SLURM_HOST": "batch-0",
            "SLURM_PARTITION": "gpu",
            "SLURM_GPU_COUNT": "2",
            "SLURM_GPU_DEVICES": "/dev/nvidia0 /dev/nvidia1",
            "SLURM_GPU_TYPE": "h100",
            "SLURM_ADOPT": "true",
        }
        left_out = {"SLURM_GPU_DEVICES": "", "SLURM_GPU_TYPE": "", "SLURM_ADOPT": "false"}
        assert left_out.items() <= script(Slurm(host="batch-0", gpus=2)).variables.items()

    def test_over_ssh_without_the_key_nothing_is_registered(self, declare: Declare) -> None:
        ssh = {"host": "10.0.0.9", "key": "batch", "hostKey": HOST_KEY}
        platform = {**raw(), "slurm": {"host": "batch-0", "gpus": 1, "connection": {"ssh": ssh}}}
        with pytest.raises(Exception, match=r"slurm\.connection\.ssh\.key: needs the secret batch"):
            declare(platform)

    def test_an_edit_of_a_team_changes_no_command(self, declare: Declare) -> None:
        slurm = {"host": "batch-0", "gpus": 2}
        one = declare({**raw(SMALL), "slurm": slurm}).one(COMMAND, "slurm-host")
        two = declare({**raw({**SMALL, "teams.dev.resources": {"cpu": 3}}), "slurm": slurm}).one(COMMAND, "slurm-host")
        assert one.inputs == two.inputs


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck: the scripts are not linted")
@pytest.mark.slow
@pytest.mark.parametrize("part", ["install", "remove"])
def test_the_scripts_pass_shellcheck(part: str, tmp_path: Path) -> None:
    found = script(Slurm(host="unit", gpus=1))
    path = tmp_path / f"{part}.sh"
    path.write_text(getattr(found, part))
    done = subprocess.run(["shellcheck", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def refusal(**changes: str) -> tuple[int, str]:
    """Run install.sh with wrong variables: it must end before it changes anything."""
    found = script(Slurm(host=socket.gethostname().split(".")[0].lower(), gpus=1, devices=("/dev/null",)))
    variables = {**found.variables, **OWNED, **changes}
    text = Script(install=found.install, remove="", variables=variables).text(found.install)
    done = subprocess.run(["bash", "-s"], input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.strip()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("apt-get") is None, reason="needs root on Debian or Ubuntu")
class TestRefusals:
    """On a host where it can't work, install.sh says why in one line and changes nothing."""

    def test_a_gpu_that_is_not_there(self) -> None:
        code, said = refusal(SLURM_GPU_DEVICES="/dev/no-gpu-here")
        assert code == 3
        assert said.startswith("slurm: REFUSED: /dev/no-gpu-here is no character device on this host")

    def test_another_host_is_refused(self) -> None:
        code, said = refusal(SLURM_HOST="another")
        assert (code, "slurm.host is another, and this host is" in said) == (3, True)

    def test_a_count_that_is_not_the_devices(self) -> None:
        code, said = refusal(SLURM_GPU_COUNT="2")
        assert (code, "slurm.devices names 1 devices, slurm.gpus says 2" in said) == (3, True)

    def test_a_slurm_conf_of_somebody_else_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "slurm.conf").write_text("ClusterName=theirs\n")
        code, said = refusal(SLURM_CONF_DIR=str(tmp_path))
        assert (code, "slurm.conf is somebody else's; write slurm.adopt: true" in said) == (3, True)
        assert (tmp_path / "slurm.conf").read_text() == "ClusterName=theirs\n"

    @pytest.mark.parametrize("daemon", ["slurmctld", "slurmd"])
    def test_a_slurm_of_somebody_else_that_runs(self, daemon: str, tmp_path: Path) -> None:
        program = tmp_path / daemon
        shutil.copy(shutil.which("sleep") or "", program)
        with subprocess.Popen([program, "300"]) as theirs:
            try:
                code, said = refusal(SLURM_CONF_DIR=str(tmp_path / "none"), HOST_ROOT=str(tmp_path))
                assert (code, "a SLURM runs on this host already, and it is not ours" in said) == (3, True)
                assert theirs.poll() is None
            finally:
                theirs.kill()


def sh(text: str, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-c", text], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def bash(found: Script, body: str) -> None:
    text = Script(install="", remove="", variables={**found.variables, **OWNED}).text(body)
    done = subprocess.run(["bash", "-s"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def packages() -> set[str]:
    return set(
        sh("dpkg-query -W -f='${Package} ${db:Status-Status}\\n' | awk '$2 == \"installed\" {print $1}'").split()
    )


@pytest.fixture(scope="module")
def slurm() -> Iterator[Script]:
    """A real SLURM on this machine, with its GPUs (`REAL_GPUS`); taken away again at the end."""
    if os.environ.get("CI") != "true" and os.environ.get("GPU_TENANCY_SLURM") != "1":
        pytest.skip("installs SLURM on this machine: set GPU_TENANCY_SLURM=1 to allow it (CI does)")
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("SLURM for real needs root on Debian or Ubuntu")
    if shutil.which("slurmctld") or Path("/etc/slurm").exists():
        pytest.skip("a SLURM is on this machine already, and it is not ours")
    if subprocess.run(["apt-get", "install", "-s", "-q", "slurmctld"], capture_output=True, check=False).returncode:
        update = subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)
        if update.returncode or subprocess.run(["apt-get", "install", "-s", "slurmctld"], check=False).returncode:
            pytest.skip("Debian's packages can't be had on this machine")
    host = sh("hostname -s").strip()
    found = script(Slurm(host=host, gpus=GPUS, devices=() if REAL_GPUS else ("/dev/null", "/dev/zero")))
    try:
        bash(found, found.install)
        yield found
    finally:
        bash(found, found.remove)


def until(what: str, text: str, wanted: str, tries: int = 120) -> str:
    """Ask until the answer has `wanted` in it. Counts tries, and says what was seen last."""
    seen = ""
    for _ in range(tries):
        seen = sh(text)
        if re.search(wanted, seen):
            return seen
        time.sleep(0.5)
    pytest.fail(f"{what}: {seen}")


def device(said: str) -> int:
    """The one GPU that a job of the example was given, by its output."""
    found = re.match(r"host \S+, CUDA_VISIBLE_DEVICES=(\d+)\n", said)
    assert found is not None, said
    return int(found[1])


class TestForReal:
    """The source's steps: sbatch, squeue, the job's output."""

    def test_the_gpus_are_gres_of_the_one_node(self, slurm: Script) -> None:
        assert sh("sinfo -h -o '%T %G %P'").split() == ["idle", f"gpu:{GPUS}", "gpu*"]

    def test_a_job_gets_one_gpu_and_says_which(self, slurm: Script, tmp_path: Path) -> None:
        number = sh(f"cd {tmp_path} && sbatch --parsable --wait {JOB}").strip()
        said = (tmp_path / f"slurm-{number}.out").read_text()
        print(said)
        assert device(said) in range(GPUS), said
        if REAL_GPUS:
            assert len(re.findall(r"^GPU \d+: .+ \(UUID: GPU-[0-9a-f-]+\)$", said, re.M)) >= 1, said

    def test_of_more_jobs_than_gpus_the_next_waits_and_then_runs(self, slurm: Script, tmp_path: Path) -> None:
        """The source's three jobs on two GPUs: the third is PENDING. On one GPU the second is."""
        numbers = [
            sh(f"cd {tmp_path} && sbatch --parsable {JOB}", SECONDS_TO_HOLD="600").strip()
            for _ in range(max(3, GPUS + 1))
        ]
        first, waiting = numbers[:GPUS], numbers[GPUS]
        every = "".join(rf"(?=.*\b{number}\b)" for number in first)
        until("the first run", "squeue -h -t RUNNING -o %i", rf"(?s){every}")
        assert sh(f"squeue -h -j {waiting} -o '%T %r'").split()[0] == "PENDING"
        assert f"Gres=gpu:{GPUS}" in sh("scontrol show node")
        sh(f"scancel {first[0]}")
        until("the next runs", f"squeue -h -j {waiting} -o %T", "RUNNING")
        running = [*first[1:], waiting]
        devices = [device(until("its output", f"cat {tmp_path}/slurm-{n}.out", "DEVICES=.*\n")) for n in running]
        assert sorted(devices) == list(range(GPUS)), "two jobs at once never have one GPU"
        sh(f"scancel {' '.join(numbers[1:])}")
        until("nothing is left", "squeue -h -o %T | wc -l", r"^0$")

    def test_installing_again_changes_nothing_and_works(self, slurm: Script) -> None:
        before = sh("cat /etc/slurm/*.conf")
        bash(slurm, slurm.install)
        assert sh("cat /etc/slurm/*.conf") == before
        assert sh("sinfo -h -o %T").strip() == "idle"

    def test_removal_takes_back_what_came_and_nothing_else(self, slurm: Script) -> None:
        sh("install -d /etc/slurm && echo ours >/etc/slurm/site-notes")
        bash(slurm, slurm.remove)
        try:
            assert {"slurmctld", "slurmd", "slurm-client", "munge"} & packages() == set()
            assert Path("/etc/slurm/site-notes").read_text() == "ours\n"
            assert [path.name for path in Path("/etc/slurm").iterdir()] == ["site-notes"]
            assert not Path("/var/lib/gpu-tenancy/slurm").exists()
            assert sh("pgrep -cx 'slurmd|slurmctld|munged' || true").strip() == "0"
        finally:
            shutil.rmtree("/etc/slurm", ignore_errors=True)
