"""Keeps secrets out of everything that a report shows. Pure.

Owns: which inputs are secret by their place (a Secret's data, a provider's kubeconfig, a key that a chart calls
`token`) or by their mark (Pulumi's secret wrapper), and the memory of what was masked.
Leaves to others: what looks like a secret (`looks.py`), and what is shown at all. `Redactor.text` is the last step of
every writer in this package.

There are two steps, because each alone has gaps. `value` masks a tree before it is shown, and remembers every text that
it masked. `text` then removes those texts, plain or encoded, from other text into which they leaked (an error of a
provider, a URN, the old plain value of a property that became secret later: pulumi#4957).

The name of a team, a queue or a label must not censor a report. So names that people choose make nothing secret
(`CHOSEN`). A text that is secret only because of the name beside it is remembered only where it is no ordinary word:
`{name: MODE_TOKEN, value: privileged}` hides only its own value.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

import tokens
from preview.values import SECRET_SIGNATURE, SIGNATURE_KEY, UNKNOWN_MARKS
from report.looks import ENDING, PLURAL, SECRET, decoded, is_key_file, is_plain, masked, names_secret, objects

UNKNOWN: Final = "(known after apply)"

_SECRET_KEY: Final = re.compile(
    rf"(?i)^(.*{ENDING}|pass|pwd|pw|(.*[_-])?(pin|passcode)(_?code)?|.*kube_?-?config.*|(.*_)?auth(orization)?|.*bearer.*|\.?dockerconfigjson|\.dockercfg"
    r"|.*webhook_?-?url|(slack|teams|discord|alert|incoming)_?-?webhook|.*dsn"
    r"|.*certificate_?-?(authority_?-?)?data|(tls|ca|server)\.key)$"
)
_SEVERAL: Final = re.compile(rf"(?i)^.*{PLURAL}$")
# a key may be named like a secret, but have a name, a flag or a path that reviewers need
_PLAIN_KEY: Final = re.compile(r"(?i)(^automountServiceAccountToken$|Seconds$|^enableTokens?$|^(image)?PullSecrets?$)")

_WHEREABOUTS: Final = frozenset(
    {"name", "namespace", "enabled", "create", "context", "server", "key", "optional", "secretName", "existingSecret"}
)

CHOSEN: Final = frozenset(
    {
        *("labels", "annotations", "matchLabels", "nodeSelector", "namespaceLabelSelector", "selector"),
        *("teams", "pools", "queues", "hard", "limits", "requests", "default", "defaultRequest", "map"),
    }
)
"""Below these, keys are names that people chose: labels, annotations, queues, resources, ways of sharing. Such a key
says nothing about its value.
"""
_CHOSEN_PAIRS: Final = frozenset({("config", "data")})
"""The same, by the key above: the GPU Operator's ways of sharing, each with its pool's name."""

_PEM_LINE: Final = re.compile(r"[\s>|+~-]*[A-Za-z0-9+/=]*\s*$")
_PAIR: Final = re.compile(r"""["']?([\w.-]+)["']?[ \t]*:[ \t]*["']?([^"'\s,}\]]+)""")
_WORD: Final = re.compile(r"[A-Za-z]+([-_ ./][A-Za-z]+)*")
_SHORTEST: Final = 8
"""Shorter texts are masked only in their place: to remove `4` or `default` from all text would destroy the report."""
_LONGEST_WORD: Final = 15
"""The longest length of an ordinary word or two."""
_REMEMBERED: Final = 8192
"""The number of remembered results for short texts: each team's resources have the same keys and values, and thirty
patterns read each of them.
"""
_SHORT: Final = 200
"""Characters. A longer text seldom comes twice, and its result is not kept."""

_masked: Final = lru_cache(maxsize=_REMEMBERED)(masked)


@lru_cache(maxsize=_REMEMBERED)
def is_secret_key(key: str) -> bool:
    """Whether a property of this name has a secret, as far as the name shows."""
    return bool(_SECRET_KEY.match(key)) and not _PLAIN_KEY.search(key)


def _strings(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _strings(item)
        case dict():
            for item in value.values():
                yield from _strings(item)


class Redactor:
    """Masks values and text, and remembers what it masked."""

    def __init__(self) -> None:
        self._open: frozenset[str] = frozenset()
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def keep(self, words: Iterable[str]) -> None:
        """Never remove these words from text: they are public in the stack file, and a report needs them. In the place
        of a secret they are masked like anything else.
        """
        self._open = self._open | frozenset(words)
        self._pattern = None

    def keep_all(self, value: JsonValue, *, key: str = "") -> None:
        """Keep every key and every text below `value` that is not secret by its place or its look."""
        if isinstance(value, dict):
            self.keep(map(str, value))
            for name, item in value.items():
                self.keep_all(item, key=self._own_name(key, "", name))
        elif isinstance(value, list):
            for item in value:
                self.keep_all(item, key=key)
        elif isinstance(value, str) and not is_secret_key(key) and self.looks(value) == value:
            self.keep([value])

    def learn(self, value: JsonValue) -> None:
        """Remember each text in `value` as a secret, and its parts: a kubeconfig's lines, decoded base64."""
        self._pattern = None
        for text in _strings(value):
            self._learn_text(text)
            inside = decoded(text.strip())
            if inside is not None:
                self._learn_text(inside)

    def _learn_text(self, text: str) -> None:
        inside = [found for key, found in _PAIR.findall(text) if is_secret_key(key)]
        # a key's lines; a kubeconfig's other lines have blanks, and `apiVersion: v1` is no secret
        lines = [line for line in map(str.strip, text.splitlines()) if len(line) >= 2 * _SHORTEST and " " not in line]
        for word in (text.strip(), *inside, *lines):
            if len(word) >= _SHORTEST and word != SECRET and word not in UNKNOWN_MARKS and not is_plain(word):
                self._known.add(word)

    def learn_likely(self, value: JsonValue) -> None:
        """Remember the texts in `value` that are no ordinary words: only the name beside them makes them secret."""
        for text in _strings(value):
            if len(text) > _LONGEST_WORD or not _WORD.fullmatch(text.strip()):
                self.learn(text)

    def value(self, value: JsonValue, *, key: str = "", above: str = "", resource_type: str = "") -> JsonValue:
        """Return `value` with every secret in it replaced by `[secret]`.

        key: the property's own name. above: the name of what it stands in. resource_type: the Pulumi type of the
        resource whose inputs these are.
        """
        if isinstance(value, dict):
            return self._mapping(value, key=key, above=above, resource_type=resource_type)
        several = isinstance(value, str) and _SEVERAL.match(key) and not _PLAIN_KEY.search(key)
        if value is not None and not isinstance(value, bool) and (is_secret_key(key) or several):
            return self._hide_named(value, key)
        if isinstance(value, list):
            return self._items(value, key=key)
        if isinstance(value, str):
            return self._string(value)
        return value

    def _items(self, items: list[JsonValue], *, key: str) -> JsonValue:
        found: list[JsonValue] = []
        for index, item in enumerate(items):
            before = items[index - 1] if index else None
            # a command line: the word after `--password`
            secret = isinstance(item, str) and isinstance(before, str) and names_secret(before)
            found.append(self._hide_named(item, "") if secret else self.value(item, key=key))
        return found

    def _string(self, value: str) -> JsonValue:
        if value in UNKNOWN_MARKS:
            return UNKNOWN
        if value.startswith(SECRET):
            return SECRET  # the lab adds a salted hash, so that a change still shows
        if is_key_file(value):
            return self._hide(value)
        return self.looks(self._in_json(value))

    def _in_json(self, text: str) -> str:
        """Mask secrets in JSON inside a text by their place: what kubectl applied last, a registry's credentials."""
        if "{" not in text:
            return text
        for start, end, found in reversed(list(objects(text))):
            shown = self.value(found)
            if shown != found:
                text = text[:start] + json.dumps(shown) + text[end:]
        return text

    @staticmethod
    def _own_name(key: str, above: str, name: str) -> str:
        """The key, if it says something about its value; empty where somebody chose it."""
        return "" if key in CHOSEN or (above, key) in _CHOSEN_PAIRS else name

    def _mapping(self, value: Mapping[str, JsonValue], *, key: str, above: str, resource_type: str) -> JsonValue:
        signature = value.get(SIGNATURE_KEY)
        if signature is not None:
            if signature == SECRET_SIGNATURE:
                return self._hide({k: v for k, v in value.items() if k != SIGNATURE_KEY})
            return "[asset]"
        secret_key = is_secret_key(key) or bool(_SEVERAL.match(key))
        secret_object = resource_type.startswith(tokens.SECRET) or value.get("kind") == "Secret"
        # a container's environment: here the name is a value, and says what its neighbour is
        secret_pair = any(isinstance(named := value.get(at), str) and is_secret_key(named) for at in ("name", "key"))
        shown: dict[str, JsonValue] = {}
        for name, item in value.items():
            if secret_object and name in ("data", "stringData"):
                shown[name] = self._hide(item)
            # `secret: {name: ...}` or `auth: {enabled: ...}` says where a secret is; everything else below such a key
            # is secret
            elif (secret_pair and name in ("value", "default")) or (secret_key and name not in _WHEREABOUTS):
                shown[name] = self._hide_named(item, key)
            else:
                shown[name] = self.value(item, key=self._own_name(key, above, name), above=key)
        return shown

    def _hide(self, value: JsonValue) -> JsonValue:
        self.learn(value)
        return SECRET

    def _hide_named(self, value: JsonValue, key: str) -> JsonValue:
        if (
            "config" in key.lower()
        ):  # a kubeconfig, a registry's credentials: no name that a chart gives to anything else
            return self._hide(value)
        self.learn_likely(value)
        return SECRET

    def looks(self, text: str) -> str:
        """Return `text` without what looks like a secret."""
        return (_masked if len(text) <= _SHORT else masked)(text, names=self._open)

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Return each line of a stream like `text`. Whole PEM blocks are dropped: one line alone matches no pattern."""
        inside = False
        for line in lines:
            ends = "-----END" in line
            inside = ("-----BEGIN" in line and not ends) or (inside and (ends or bool(_PEM_LINE.match(line))))
            yield SECRET if inside else self.text(line)
            inside = inside and not ends

    def text(self, text: str) -> str:
        """Return `text` without anything that looks like a secret or was masked before, plain or encoded."""
        text = self.looks(self._in_json(text))
        if self._pattern is None:
            forms = {form for secret in self._known - self._open for form in _forms(secret)}
            # the longest first, so that no end of a longer secret stays
            ordered = sorted(forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, ordered)) or r"(?!)")
        return self._pattern.sub(SECRET, text)


def _forms(secret: str) -> Iterator[str]:
    """The forms of a secret in text: plain, in base64, in a URL, in JSON."""
    yield secret
    encoded = base64.b64encode(secret.encode()).decode()
    yield from (encoded, encoded.rstrip("="), encoded.replace("+", "-").replace("/", "_"))
    yield quote(secret, safe="")
    yield json.dumps(secret)[1:-1]
