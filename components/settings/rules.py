"""Rules across the fields of a stack file, as pure functions. No Pulumi import.

Owns: what may not stand together. Leaves to others: the arithmetic (`components/capacity.py`), the shape (`models.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from components.settings.models import Platform
from components.settings.problems import Problem

Rule: TypeAlias = Callable[[Platform], Iterable[Problem]]

RULES: Final[tuple[Rule, ...]] = ()
