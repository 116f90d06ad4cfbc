"""A lab's record of the servers that it started, in one file in its folder."""

import json
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.errors import LabError

FILE = "lab.json"


@dataclass(kw_only=True)
class Record:
    """The record of one server; `uid` is empty until it was ready once."""

    ports: dict[str, int]
    uid: str = ""


@dataclass(kw_only=True)
class LabRecord:
    id: str
    clusters: dict[str, Record] = field(default_factory=dict)


def read(home: Path) -> LabRecord:
    """The record; a new one where there is none. Raises LabError where it is damaged."""
    try:
        raw = json.loads((home / FILE).read_text())
        return LabRecord(id=raw["id"], clusters={k: Record(**v) for k, v in raw["clusters"].items()})
    except FileNotFoundError:
        return LabRecord(id=str(uuid.uuid4()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LabError(f"lab: {home / FILE} is damaged.", "run `make lab-reset`, then `make up`.") from None


def write(home: Path, lab: LabRecord) -> None:
    """Write the record, completely or not at all."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(home / FILE, json.dumps(asdict(lab), indent=1))


def write_whole(file: Path, text: str) -> None:
    """Write a file that only this user may read, completely or not at all."""
    draft = file.with_name(f"{file.name}.new")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(file)
