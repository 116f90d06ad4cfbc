"""The state file of a lab: what the last runs made, in the order of registration."""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from lab.errors import LabError
from lab.objects import Json
from lab.record import write_whole

Trigger: TypeAlias = str | float | bool | None


@dataclass(kw_only=True)
class Entry:
    """A resource in the state file. `inputs` empty: a run was killed while it made it."""

    urn: str
    type: str
    name: str
    id: str = ""
    inputs: Json = field(default_factory=dict)
    provider: str = ""
    parent: str = ""
    deleted_with: str = ""
    retained: bool = False
    cluster: str = ""  # the lab's name for the server that holds the object
    cluster_uid: str = ""  # if the server has another uid later, it was made anew and the object is gone
    object: Json = field(default_factory=dict)  # apiVersion, kind, namespace, name
    custom: bool = True  # False for a component, which has no object
    trigger: Trigger = None  # the option replacement_trigger, as it was


class State:
    """The state file: what the last runs made, in the order of registration."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        try:
            raw = json.loads(path.read_text())
            self.entries = {entry["urn"]: Entry(**entry) for entry in raw["resources"]}
        except FileNotFoundError:
            self.entries = {}
        except (ValueError, KeyError, TypeError):
            raise LabError(f"lab: {path} is damaged.", "run `make lab-reset`, then `make up`.") from None

    def put(self, entry: Entry) -> None:
        with self._guard:
            self.entries[entry.urn] = entry
            self._save()

    def drop(self, urn: str) -> None:
        with self._guard:
            self.entries.pop(urn, None)
            self._save()

    def _save(self) -> None:
        write_whole(self._path, json.dumps({"resources": [vars(entry) for entry in self.entries.values()]}))
