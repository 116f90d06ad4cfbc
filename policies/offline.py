"""Judges a state without an engine: `python -m policies.offline STATE.json [--config FILE | --stack NAME] [--json]`.

STATE.json is the output of `pulumi stack export` (`deployment.resources`), or a list of such resources. Exit status:
0 no mandatory violation, 1 at least one, 2 could not run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from policies.config import ConfigError, load
from policies.inventory import PolicyResource
from policies.plain import plain_properties
from policies.rules import LIMITS
from policies.run import as_json, config_for, evaluate, lines


class StateError(ValueError):
    """A state file that can't be judged."""


def resources_of(state: object) -> list[PolicyResource]:
    """Return the resources of an exported state, without those that are marked for deletion or were only read. Raises
    `StateError` when it is not such a state.
    """
    if isinstance(state, Mapping):
        deployment = state.get("deployment", state)
        state = deployment.get("resources") if isinstance(deployment, Mapping) else None
    if not isinstance(state, list):
        raise StateError("has no deployment.resources; write it with: pulumi stack export --file STATE.json")
    found = []
    for entry in state:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
            raise StateError(f"has an entry without a type: {entry!r:.80}")
        if entry.get("delete") or entry.get("external"):
            continue
        urn = str(entry.get("urn", ""))
        # a component's inputs are what its constructor passed; some engines keep only its registered outputs
        properties = entry.get("inputs") or entry.get("outputs") or {}
        found.append(
            PolicyResource(
                type=entry["type"],
                name=urn.rpartition("::")[2],
                properties=plain_properties(properties),
                urn=urn,
                parent=str(entry.get("parent", "")),
            )
        )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge a state file and print one line for each rule; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m policies.offline", description=__doc__)
    parser.add_argument("state", type=Path)
    parser.add_argument("--config", type=Path, help="a policy configuration; default: the one of --stack")
    parser.add_argument("--stack", default="prod")
    parser.add_argument("--json", action="store_true", help="results as JSON, for the report")
    parser.add_argument("--today", type=date.fromisoformat, help="the clock for support windows, like 2026-11-22")
    options = parser.parse_args(arguments)
    try:
        config = load(options.config, LIMITS) if options.config else config_for(options.stack)
        resources = resources_of(json.loads(options.state.read_text(encoding="utf-8")))
    except (ConfigError, OSError, ValueError, RecursionError) as error:
        print(f"{options.state}: {error}", file=sys.stderr)
        return 2
    results = evaluate(resources, config, today=options.today)
    print(json.dumps(as_json(results)) if options.json else "\n".join(lines(results)))
    return 1 if any(result.blocks for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
