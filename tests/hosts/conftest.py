"""Fixture: a host in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts.machine import Host, machine


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return machine(tmp_path)
