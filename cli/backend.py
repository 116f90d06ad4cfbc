"""Where the engine keeps the state of a stack, and how it is encrypted.

Owns: finding the backend and the passphrase as the engine itself does, so that `make` and `pulumi` use the same state,
whichever ran first; a backend in the project's folder where the user chose nothing. It never overrides the user's
choice.
Leaves to others: asking the engine (`engine.py`).
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import yaml

from names import Object

Env = dict[str, str]

LOCAL_STATE: Final = Path(".pulumi/state")
PASSPHRASE_FILE: Final = Path(".pulumi/passphrase")

BACKEND: Final = "PULUMI_BACKEND_URL"
PASSPHRASE: Final = "PULUMI_CONFIG_PASSPHRASE"
NO_SIDECAR: Final = "metadata=skip"
"""Otherwise the engine writes a file with MD5 and type beside each state file and its copy. Nobody reads it. Without
it a write costs a seventh less, and each step has two writes (gocloud.dev/blob/fileblob; profiled with ten teams)."""

PASSPHRASE_IN_FILE: Final = "PULUMI_CONFIG_PASSPHRASE_FILE"

CLOUD: Final = "https://api.pulumi.com"
"""Where the engine logs in by itself when it has only a token."""

READ_BY_THE_ENGINE: Final = "(the engine's own login)"
"""In place of the URL of a login that is stored encrypted and that only the engine can read."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A backend and who chose it: a variable, `Pulumi.yaml` or `pulumi login`. If nobody did: the project's own."""

    url: str
    chosen_by: str
    folder: Path | None
    """The folder of a file backend; None for every other kind."""
    is_ours: bool = False
    """Whether it is the one in the project's folder, with its passphrase beside it."""

    def __str__(self) -> str:
        return f"{self.url} ({self.chosen_by})"


def find_backend(env: Mapping[str, str], root: Path) -> Backend:
    """Return the backend that the engine uses for the project in `root` (GetCurrentCloudURL in its pkg/workspace)."""
    for chosen_by, url in (
        (BACKEND, env.get(BACKEND)),
        ("Pulumi.yaml", _of_project(root)),
        ("pulumi login", _of_login(env)),
        ("PULUMI_ACCESS_TOKEN", env.get("PULUMI_API", CLOUD) if env.get("PULUMI_ACCESS_TOKEN") else None),
    ):
        if url:
            folder = file_backend(url, root)
            ours = folder is not None and folder.resolve() == (root / LOCAL_STATE).resolve()
            return Backend(url=url, chosen_by=chosen_by, folder=folder, is_ours=ours)
    folder = root / LOCAL_STATE
    # quoted: for the engine a URL ends at `#` and `?`, and `%` begins a code
    url = f"file://{quote(str(folder))}?{NO_SIDECAR}"
    return Backend(url=url, chosen_by="this folder's own", folder=folder, is_ours=True)


def _of_project(root: Path) -> str | None:
    chosen = project(root).get("backend")
    url = chosen.get("url") if isinstance(chosen, dict) else None
    return str(url) if url else None


def _of_login(env: Mapping[str, str]) -> str | None:
    home = env.get("PULUMI_HOME") or str(Path(env.get("HOME") or Path.home()) / ".pulumi")
    path = Path(env.get("PULUMI_CREDENTIALS_PATH") or home) / "credentials.json"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    if not text.strip():
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return READ_BY_THE_ENGINE
    if isinstance(found, dict) and (not found or found.keys() & {"current", "accessTokens", "accounts"}):
        return str(found.get("current") or "") or None
    return READ_BY_THE_ENGINE


def project(root: Path) -> Object:
    """Return what Pulumi.yaml says."""
    parsed = yaml.safe_load((root / "Pulumi.yaml").read_text(encoding="utf-8"))
    return parsed if isinstance(parsed, dict) else {}


def file_backend(url: str | None, root: Path | None = None) -> Path | None:
    """Return the folder of a `file://` backend, None for every other kind. A relative one starts from `root`."""
    if url is None or not url.startswith("file://"):
        return None
    parts = urlsplit(url)
    folder = Path(unquote(parts.netloc + parts.path)).expanduser()
    return folder if root is None else root / folder


def has_passphrase(env: Mapping[str, str]) -> bool:
    """Whether the environment has a passphrase. An empty one counts, because the engine accepts it."""
    return PASSPHRASE in env or bool(env.get(PASSPHRASE_IN_FILE))


def stack_in_folder(root: Path, stack: str) -> bool:
    """Whether the project's own folder has a state of this stack, whatever backend is chosen now."""
    kept = root / LOCAL_STATE / ".pulumi" / "stacks" / str(project(root).get("name", ""))
    return any((kept / f"{stack}.json{ending}").is_file() for ending in ("", ".gz", ".zst"))


def exports(env: Mapping[str, str]) -> str:
    """Return shell lines that make a plain `pulumi` find what the commands use; empty where it finds that by itself.

    Values differ from the user's environment only for the project's own backend. They contain no secret: the passphrase
    is given by the name of its file.
    """
    changed = {name: env[name] for name in (BACKEND, PASSPHRASE_IN_FILE) if env.get(name) != os.environ.get(name)}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in changed.items())
