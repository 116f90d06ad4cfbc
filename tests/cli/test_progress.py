"""What is shown of the engine's words while it runs, and how it is stopped."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from cli.causes.reading import without_noise
from cli.progress import Progress, handed_on, lines, run_shown

UP = """\
Previewing update (dev):
@ previewing update....
 +  pulumi:pulumi:Stack gpu-tenancy-dev create
 +  kubernetes:core/v1:Namespace ml-namespace create
 +  kubernetes:helm.sh/v3:Release ml-vcluster create
Policies:
    advisory things
Resources:
    + 3 to create

Updating (dev):
@ updating....
 +  kubernetes:core/v1:Namespace ml-namespace creating (0s)
 +  kubernetes:core/v1:Namespace ml-namespace created (0.1s)
 +  kubernetes:helm.sh/v3:Release ml-vcluster creating (0s) retrying create due to on-error hook request (1/100)
 +  kubernetes:helm.sh/v3:Release ml-vcluster creating (9s) error: no
 +  kubernetes:helm.sh/v3:Release ml-vcluster **creating failed** error: no
    pulumi:pulumi:Stack gpu-tenancy-dev **failed** 1 error
Diagnostics:
  kubernetes:helm.sh/v3:Release (ml-vcluster):
    error: no

Outputs:
    teams: {"secretly": "long"}

Resources:
    + 1 created
    1 errored

Duration: 12s
"""


def shown(text: str) -> str:
    said: list[str] = []
    progress = Progress(said.append)
    for line in text.splitlines(keepends=True):
        progress.take(line)
    assert progress.text == text, "nothing that the engine said is lost"
    return "".join(said)


def test_shown_are_the_ends_of_steps_and_each_phase_s_summary() -> None:
    assert (
        shown(UP)
        == """\
Previewing update (dev):
Resources:
    + 3 to create
Updating (dev):
 +  kubernetes:core/v1:Namespace ml-namespace created (0.1s)
 +  kubernetes:helm.sh/v3:Release ml-vcluster **creating failed** error: no
Resources:
    + 1 created
    1 errored
Duration: 12s
"""
    )


def test_an_engine_that_waits_for_what_never_comes_is_interrupted_like_by_hand(tmp_path: Path) -> None:
    script = tmp_path / "engine.py"
    script.write_text(
        "import time\nprint('Updating (dev):', flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('error: update canceled', flush=True)\n"
        "    raise SystemExit(1)\n"
    )
    asked: list[str] = []

    def hopeless(progress: Progress) -> str:
        asked.append(progress.phase)
        return "an image can't be pulled" if progress.phase == "Updating" else ""

    run = run_shown(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=dict(os.environ),
        progress=Progress(lambda _: None),
        hopeless=hopeless,
        tick=0.05,
    )
    assert (run.code, run.stopped, run.interrupted) == (1, "an image can't be pulled", False)
    assert "update canceled" in run.text
    assert asked


def test_lines_are_whole_and_the_caller_gets_its_turn_between_dots() -> None:
    read, write = os.pipe()
    os.write(write, b"one\ntw")
    os.write(write, b"o\n@ updating")
    os.close(write)
    assert [line for line in lines(read, tick=60) if line is not None] == ["one\n", "two\n", "@ updating"]
    os.close(read)


DOWN = """\
Previewing destroy (dev):
 -  kubernetes:core/v1:Namespace ml-namespace deleting (0s)

Destroying (dev):
 -  kubernetes:scheduling.run.ai/v2:Queue ml-queues-work deleting (0s)
 -  kubernetes:scheduling.run.ai/v2:Queue ml-queues-work deleted (1s)
 -  kubernetes:helm.sh/v3:Release ml-canary-virtual-cluster deleting (0s)
 -  kubernetes:core/v1:Namespace ml-namespace deleting (0s)
 -  kubernetes:helm.sh/v3:Release ml-canary-virtual-cluster deleted (4s)
 -  kubernetes:core/v1:Namespace ml-namespace deleted (2s)
 -- kubernetes:core/v1:Secret research-old deleted (1s)
"""


def test_a_team_s_removal_takes_from_its_first_step_to_its_last() -> None:
    """The clock ticks once a step of a removal: 0 to 6. A team that stays only had something replaced."""
    ticks = iter(range(100))
    progress = Progress(lambda _: None, clock=lambda: float(next(ticks)))
    for line in DOWN.splitlines(keepends=True):
        progress.take(line)
    assert progress.removals(["ml", "ml-canary", "research"], stay=["research"]) == [
        "team ml: removed in 5 s",
        "team ml-canary: removed in 2 s",
    ]


def test_an_interrupt_in_the_middle_of_a_line_reaches_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: str) -> None:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    sent: list[int] = []
    monkeypatch.setattr("cli.say.line", refused)
    with handed_on(sent.append) as came:
        signal.raise_signal(signal.SIGTERM)
    assert (came, sent) == ([signal.SIGTERM], [signal.SIGINT])


def test_the_interrupted_host_s_traceback_is_left_out_and_a_real_one_is_kept() -> None:
    noise = "before\n  Traceback (most recent call last):\n    File x\n    KeyboardInterrupt\nafter"
    assert without_noise(noise) == "before\nafter"
    twice = (
        "a\nTraceback (most recent call last):\n  x\nKeyboardInterrupt\n"
        "During handling of the above exception, another exception occurred:\n"
        "Traceback (most recent call last):\n  y\nKeyboardInterrupt\nb"
    )
    assert without_noise(twice) == "a\nb"
    real = "a\nTraceback (most recent call last):\n  x\nValueError: broken\nb"
    assert without_noise(real) == real
