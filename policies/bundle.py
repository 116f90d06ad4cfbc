"""Writes the policy pack as a folder of its own: `python -m policies.bundle FOLDER`.

`pulumi policy publish` packs the folder that it runs in. Users of the pack install that folder's `requirements.txt`. So
the bundle holds the rules and the code that they import, and nothing else.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("pulumi", "pulumi-policy", "pydantic")
"""The packages that the rules import; a test starts the bundle with only these."""
_STARTER: Final = """\
\"\"\"Starts the policy pack.\"\"\"

from policies.start import start

if __name__ == "__main__":
    start()
"""
_IMPORTED: Final = """\
import sys
import policies.start
for module in list(sys.modules.values()):
    if getattr(module, "__file__", None):
        print(module.__file__)
"""
"""Prints the files of everything that the pack imports."""


def sources() -> list[Path]:
    """Return the files of this program that the pack imports, relative to its root."""
    done = subprocess.run([sys.executable, "-c", _IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True)
    found = sorted(Path(line) for line in done.stdout.splitlines())
    installed = Path(sys.prefix).resolve()
    return [
        path.relative_to(ROOT)
        for path in found
        if path.is_relative_to(ROOT) and not path.resolve().is_relative_to(installed) and ".venv" not in path.parts
    ]


def requirements() -> list[str]:
    """Return pyproject.toml's pins of the packages that the rules import."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = {line.partition("==")[0]: line for line in project["dependencies"]}
    return [pins[name] for name in PACKAGES]


def write(folder: Path) -> None:
    """Write the bundle into an empty or new folder. Raises `FileExistsError` where the folder is not empty."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a new folder")
    for path in [*sources(), *(found.relative_to(ROOT) for found in (ROOT / "policies/config").glob("*.json"))]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    (folder / "__main__.py").write_text(_STARTER, encoding="utf-8")
    (folder / "requirements.txt").write_text("\n".join([*requirements(), ""]), encoding="utf-8")
    pack = yaml.safe_load((ROOT / "policies/PulumiPolicy.yaml").read_text(encoding="utf-8"))
    # who installs it makes an environment for it
    pack["runtime"] = "python"
    (folder / "PulumiPolicy.yaml").write_text(yaml.safe_dump(pack, sort_keys=False), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bundle and say how to publish it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m policies.bundle", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    try:
        write(folder)
    except OSError as error:
        print(f"{folder}: {error}", file=sys.stderr)
        return 2
    print(
        f"{folder}: a policy pack that stands alone; publish it with: cd {folder} && pulumi policy publish ORGANISATION"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
