"""How a command starts."""

from __future__ import annotations

import runpy
import sys
from importlib.machinery import ModuleSpec

import pytest

from cli.errors import Exit


class Interrupted:
    """Stands for Ctrl-C while the commands are loaded."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name == "cli.app":
            raise KeyboardInterrupt
        return None


def test_an_interrupt_while_the_commands_are_loaded_is_said_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "cli.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cli", run_name="__main__")
    assert ended.value.code == Exit.INTERRUPTED
    assert capsys.readouterr().err == "\ninterrupted; nothing was started\n"
