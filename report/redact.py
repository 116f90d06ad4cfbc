"""Keeps secrets out of everything that a report shows. Pure.

Owns: which inputs are secret by their place (a Secret's data, a provider's kubeconfig, a key named `token`), by their
mark (Pulumi's secret wrapper), or by their look (PEM, JWT, kubeconfig, tokens of well-known services).
Leaves to others: what is shown at all. `Redactor.text` is the last step of every writer in this package.

Two nets, because each has holes: `value` masks a tree before it is shown, and remembers every text that it masked;
`text` then takes those texts, in clear or in base64, out of whatever prose they leaked into (an error of a provider,
a URN, an old value in clear of a property that became secret later: pulumi#4957).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pydantic import JsonValue

SECRET: Final = "[secret]"
UNKNOWN: Final = "(known after apply)"

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
"""Key of Pulumi's special values in JSON (sdk/python/lib/pulumi/runtime/rpc.py, `_special_sig_key`)."""
_SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"
_UNKNOWN_VALUES: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string; the engine uses one constant for each type
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)

_SECRET_KEY: Final = re.compile(
    r"(?ix) ^ ( .*kube_?-?config.* | .*token | .*passw(or)?d | .*passphrase | .*private_?-?key"
    r" | client_?-?key(_?-?data)? | .*client_?-?secret | .*secret | .*credentials? | .*api_?-?key | .*access_?-?key"
    r" | (.*_)?auth(orization)? | .*bearer.* | \.?dockerconfigjson | \.dockercfg"
    r" | .*certificate_?-?(authority_?-?)?data | (tls|ca|server)\.key ) $"
)
# a key may be named like a secret and hold a name, a flag or a path that reviewers need
_PLAIN_TEXT: Final = re.compile(r"(?i)^(true|false|null|-?\d+(\.\d+)?|)$")
_PLAIN_KEY: Final = re.compile(r"(?i)(^automountServiceAccountToken$|Seconds$|^enableTokens?$)")

_WHEREABOUTS: Final = frozenset(
    {"name", "namespace", "enabled", "create", "context", "server", "key", "optional", "secretName", "existingSecret"}
)

_LOOKS: Final = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"-----BEGIN [A-Z ]+-----((?!-----BEGIN).)*?-----END [A-Z ]+-----|-----BEGIN [A-Z ]+-----\S*",  # PEM
        r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]*",  # the same in base64
        r"\beyJ[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*){1,2}",  # JWT: a service account's token
        r"(?i)\bbearer\s+[A-Za-z0-9._~+/-]{6,}=*",
        r"\b(gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|pul-[0-9a-f]{20,}|xox[a-z]-[\w-]{10,}|hf_[A-Za-z0-9]{16,}"
        r"|nvapi-[\w-]{16,}|sk-[\w-]{20,}|AKIA[0-9A-Z]{12,}|dckr_pat_[\w-]{16,})",
        r"(?i)\b[a-z0-9_.-]*(token|password|passwd|passphrase|secret|client-key-data|client-certificate-data"
        r"|(api|access|secret|private)[_-]?key)[\"']?\s*[:=]\s*"
        r"[\"']?(?!\[secret\]|\(known)[^\s\"',;]{6,}",
        r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",  # user:password in a URL
        r"K10[0-9a-f]{64}::\S+",  # a k3s node token
    )
)
_KUBECONFIG: Final = re.compile(r"(?s)(clusters\s*[\"']?:.*users\s*[\"']?:|users\s*[\"']?:.*clusters\s*[\"']?:)")
_OPAQUE: Final = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{40,}={0,2}(?![A-Za-z0-9+/=_-])")
_PEM_LINE: Final = re.compile(r"[\s>|+~-]*[A-Za-z0-9+/=]*\s*$")
_PAIR: Final = re.compile(r"""["']?([\w.-]+)["']?[ \t]*:[ \t]*["']?([^"'\s,}\]]+)""")
_SHORTEST: Final = 8
"""Shorter texts are masked in their place only: taking `4` or `default` out of all prose would destroy the report."""


def _is_opaque(text: str) -> bool:
    """Whether a long word looks random: upper case, lower case and digits mixed. Hex digests and paths are not."""
    return (
        any(c.isupper() for c in text)
        and any(c.islower() for c in text)
        and sum(c.isdigit() for c in text) >= 3
        and text.count("/") <= 2
    )


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


def is_secret_key(key: str) -> bool:
    """Whether a property of this name holds a secret, as far as a name can tell."""
    return bool(_SECRET_KEY.match(key)) and not _PLAIN_KEY.search(key)


class Redactor:
    """Masks values and text, and remembers what it masked."""

    def __init__(self) -> None:
        self._open: frozenset[str] = frozenset()
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def keep(self, words: Iterable[str]) -> None:
        """Never take these words out of prose: names of teams and pools, without which a report says nothing.

        In the place of a secret they are masked like anything else."""
        self._open = self._open | frozenset(words)
        self._pattern = None

    def learn(self, value: JsonValue) -> None:
        """Remember every text in `value` as a secret, and what a longer text (a kubeconfig, a key file) has inside."""
        self._pattern = None
        for text in _strings(value):
            inside = [found for key, found in _PAIR.findall(text) if is_secret_key(key)]
            # a key's lines; a kubeconfig's own lines have blanks, and `apiVersion: v1` is no secret
            lines = [
                line for line in map(str.strip, text.splitlines()) if len(line) >= 2 * _SHORTEST and " " not in line
            ]
            for word in (text.strip(), *inside, *lines):
                if (
                    len(word) >= _SHORTEST
                    and word != SECRET
                    and word not in _UNKNOWN_VALUES
                    and not _PLAIN_TEXT.match(word)
                ):
                    self._known.add(word)

    def value(self, value: JsonValue, *, key: str = "", resource_type: str = "") -> JsonValue:
        """Return `value` with every secret in it replaced by `[secret]`.

        key: the property's own name. resource_type: the Pulumi type of the resource whose inputs these are.
        """
        if isinstance(value, dict):
            return self._mapping(value, key=key, resource_type=resource_type)
        if value is not None and not isinstance(value, bool) and is_secret_key(key):
            return self._hide(value)
        if isinstance(value, list):
            return [self.value(item, key=key, resource_type="") for item in value]
        if isinstance(value, str):
            if value in _UNKNOWN_VALUES:
                return UNKNOWN
            if value.startswith(SECRET):
                return SECRET  # the lab adds a salted hash, so that a change still shows
            if _KUBECONFIG.search(value) or "-----BEGIN" in value:
                return self._hide(value)
            return self._looks(value)
        return value

    def _mapping(self, value: Mapping[str, JsonValue], *, key: str, resource_type: str) -> JsonValue:
        signature = value.get(SIGNATURE_KEY)
        if signature is not None:
            if signature == _SECRET_SIGNATURE:
                return self._hide({k: v for k, v in value.items() if k != SIGNATURE_KEY})
            return "[asset]"
        secret_key = is_secret_key(key)
        secret_object = resource_type.startswith("kubernetes:core/v1:Secret") or value.get("kind") == "Secret"
        named = value.get("name")
        # a container's environment: the name is a value here, and says what its neighbour is
        secret_pair = isinstance(named, str) and is_secret_key(named)
        masked: dict[str, JsonValue] = {}
        for name, item in value.items():
            hidden = (secret_object and name in ("data", "stringData")) or (
                secret_pair and name in ("value", "default")
            )
            # `secret: {name: ...}` or `auth: {enabled: ...}` says where a secret is; the rest below such a key is one
            if hidden or (secret_key and name not in _WHEREABOUTS):
                masked[name] = self._hide(item)
            else:
                masked[name] = self.value(item, key=name)
        return masked

    def _hide(self, value: JsonValue) -> JsonValue:
        self.learn(value)
        return SECRET

    def _looks(self, text: str) -> str:
        for pattern in _LOOKS:
            text = pattern.sub(SECRET, text)
        return _OPAQUE.sub(lambda match: SECRET if _is_opaque(match.group()) else match.group(), text)

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """Return each line of a stream like `text`, and the lines of a key file not at all: one alone has no look."""
        inside = False
        for line in lines:
            ends = "-----END" in line
            inside = ("-----BEGIN" in line and not ends) or (inside and (ends or bool(_PEM_LINE.match(line))))
            yield SECRET if inside else self.text(line)
            inside = inside and not ends

    def text(self, text: str) -> str:
        """Return `text` without anything that looks like a secret or was masked before, in clear or in base64."""
        text = self._looks(text)
        if self._pattern is None:
            known = self._known - self._open
            encoded = {base64.b64encode(secret.encode()).decode() for secret in known}
            # the longest first, so that no tail of a longer secret stays
            forms = sorted(known | encoded, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join(map(re.escape, forms)) or r"(?!)")
        return self._pattern.sub(SECRET, text)
