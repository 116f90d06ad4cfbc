"""The words in names of secrets: one list for properties, variables, flags and prose. Pure data.

Owns: the words. Leaves to others: where a name counts and what follows it (`looks.py`, `redact.py`).
"""

from __future__ import annotations

from typing import Final

_JOIN: Final = "[_-]?"
_WORD: Final = r"token|passw(?:or)?[dt]|passphrase|secret|credentials?|creds|cookie|hmac|otp"  # also the German word
_KEY: Final = (
    rf"(?:api|access|account|secret|private|shared|sign(?:ing)?|encrypt(?:ion)?|licen[sc]e|session|master|ssh|deploy"
    rf"|storage|hmac|auth|webhook|registration|join|client|service|bootstrap){_JOIN}(?:access{_JOIN})?key"
)
"""A key is secret by the word before it: `key` alone is a name in a ConfigMap."""
_SHORT: Final = r"(?-i:PASS|Pass|PW|Pwd)|(?<=[_-])(?:pass|pwd|pw)"
"""Without `pass`, which is a verdict, and PWD, which is a folder."""
_REST: Final = rf"(?:{_JOIN}(?:base|value|b64|base64|data|pem|plain|raw|string|text|[0-9]{{1,2}}))?"
"""What may follow the secret word in a name: SECRET_KEY_BASE, privateKeyPem, PASSWORD_2."""

ENDING: Final = rf"(?:(?:{_KEY}|{_WORD}|{_SHORT}){_REST}|client-certificate-data)"
"""The ending of a secret's name."""
PLURAL: Final = rf"(?:{_KEY}|{_WORD})s"
"""The ending of a name for several secrets; a number there is a count (`maxTokens`)."""
