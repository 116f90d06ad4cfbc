"""What a text of a stack file must look like, as regular expressions. Pure data: no import of ours.

Owns: Kubernetes' own grammars and a few of ours, each as one expression without anchors. The loader and the JSON Schema
use the same expression, so it has only what Python's `re` and ECMA 262 both understand.
Leaves to others: which field has which grammar, and the messages (`types.py`).

Sources: k8s.io/apimachinery pkg/util/validation (DNS label, DNS subdomain, qualified name, label value),
pkg/api/resource (quantity); github.com/distribution/reference (image); RFC 4291 (IPv6).
"""

from __future__ import annotations

from typing import Final


def anchored(pattern: str) -> str:
    """The expression for a whole text. In Python `$` alone would let a line break at the end through."""
    return rf"^(?:{pattern})$(?!\n)"


# --- names ----------------------------------------------------------------------------------------------------------

DNS_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
DNS_SUBDOMAIN: Final = rf"{DNS_LABEL}(?:\.{DNS_LABEL})*"
_LABEL_NAME: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
# `{secure: text}` alone is an encrypted value to the engine
LABEL_KEY: Final = rf"(?!secure$)(?:(?=[^/]{{1,253}}/){DNS_SUBDOMAIN}/)?{_LABEL_NAME}"
LABEL_VALUE: Final = _LABEL_NAME
# NVIDIA MIG User Guide, supported profiles: compute slices, memory, and what else the slice has
MIG_PROFILE: Final = r"[1-7]g\.[1-9][0-9]{0,2}gb(?:\+me(?:\.all)?|\+gfx|-me)?"
VERSION: Final = r"v?[0-9]+(?:\.[0-9]+){0,3}(?:[-+][0-9A-Za-z][-+.0-9A-Za-z]*)?"

# --- hosts ----------------------------------------------------------------------------------------------------------

_HOST_LABEL: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
# its last label is not all digits: 10.0.0.256 is a mistyped address and no name
HOST_NAME: Final = rf"(?:{_HOST_LABEL}\.)*(?![0-9]+$){_HOST_LABEL}"
_LOWER_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
FULL_HOST_NAME: Final = rf"(?:{_LOWER_LABEL}\.)+(?![0-9]+$){_LOWER_LABEL}"
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4: Final = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H16: Final = r"[0-9A-Fa-f]{1,4}"
_IPV6: Final = "|".join(
    [
        rf"(?:{_H16}:){{7}}{_H16}",
        rf"(?:{_H16}:){{1,7}}:",
        *(rf"(?:{_H16}:){{1,{before}}}(?::{_H16}){{1,{7 - before}}}" for before in range(6, 0, -1)),
        rf":(?::{_H16}){{1,7}}",
    ]
)
"""Excludes `::` alone, which is no host, and the rare form that ends in an IPv4 address."""
HOST_ADDRESS: Final = rf"{HOST_NAME}|{_IPV4}|{_IPV6}"

# --- images ---------------------------------------------------------------------------------------------------------

_PATH_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PORT: Final = r"6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}"  # 1 to 65535
_REGISTRY: Final = rf"(?=[^:/]{{1,253}}(?:[:/]|$)){_HOST_LABEL}(?:\.{_HOST_LABEL})*(?::(?:{_PORT}))?"
_PATH: Final = rf"(?=[^:@]{{1,255}}(?:[:@]|$)){_PATH_PART}(?:/{_PATH_PART})*"
IMAGE: Final = (
    rf"(?:{_REGISTRY}/)?{_PATH}"
    r"(?::[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)

REGISTRY: Final = rf"{_REGISTRY}(?:/{_PATH_PART})*/?"
"""Where images come from: a host, perhaps a port and a path."""

# --- text for people ------------------------------------------------------------------------------------------------

INVISIBLE: Final = (
    # control characters; soft hyphen, direction marks, zero-width and other format characters; line and paragraph
    # separators; the byte order mark; tags. A terminal or a browser acts on them, and a reviewer does not see them
    r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Inside of a character class."""
CHART_PLACE: Final = rf"(?:oci|https?)://[^\s@?#/{INVISIBLE}]+(?:/[^\s?#{INVISIBLE}]*)?|(?!.*://)[^\s{INVISIBLE}]+"
PLAIN: Final = rf"[^{INVISIBLE}]+"
LINES: Final = rf"(?:[\n\t]|[^{INVISIBLE}])*"
"""The same with line breaks; may be empty."""
REASON: Final = rf"(?! )[^{INVISIBLE}]{{9,499}}[^ {INVISIBLE}]"

# --- quantities -----------------------------------------------------------------------------------------------------

CPU: Final = r"[0-9]{1,6}(?:\.[0-9]{1,9})?|[0-9]{1,9}m"
_FRACTION: Final = r"(?:\.[0-9]{1,6})?"
MEMORY: Final = "|".join(
    [
        "0",
        # each unit with so many digits that the product stays below 2^63, which is what Kubernetes can hold
        "[1-9][0-9]{6,17}",
        *(
            rf"[0-9]{{1,{digits}}}{_FRACTION}{units}"
            for units, digits in (("(?:k|Ki)", 15), ("(?:M|Mi)", 12), ("(?:G|Gi)", 9), ("(?:T|Ti)", 6), ("(?:P|Pi)", 3))
        ),
    ]
)

# --- days -----------------------------------------------------------------------------------------------------------

_LEAP_YEAR: Final = (
    r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"  # not the year 0
)
DAY: Final = (
    r"(?:(?!0000)[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    rf"|(?:0[13578]|1[02])-31)|{_LEAP_YEAR}-02-29)"
    r"(?: 00:00:00 \+0000 UTC)?"
)
"""A day of the calendar. The optional end is how the engine prints a day that has no quotes in the file."""
