"""Quantities from any source, as numbers to add up and to show. Pure."""

from __future__ import annotations

from decimal import Decimal
from math import isfinite

from capacity import amount_of


def number(value: object) -> float:
    """A quantity as a number: `500m` is 0.5. 0 where it is not a quantity, or too large for a number."""
    return finite(amount_of(value) or Decimal(0))


def finite(value: Decimal) -> float:
    """A number as a float; 0 where it is too large."""
    try:
        found = float(value)
    except ArithmeticError:
        return 0.0
    return found if isfinite(found) else 0.0
