"""Values that carry a signature and the time when it was made, for cookies and elsewhere.

Version 1 is ``value|time|signature`` with HMAC-SHA1 over name, value and time without anything between them.
Version 2 is ``2|key version|time|name|value|signature`` with HMAC-SHA256 over all before it; the four fields
have their lengths in front, as in ``3:key``. Values are in base64, signatures in hex, numbers in decimal.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import TypeAlias

from tornado_c._support.regex import regex
from tornado_c.escape import utf8
from tornado_c.log import gen_log

#: What ``cookie_secret`` may be: one key, or keys by their version.
_CookieSecretTypes: TypeAlias = str | bytes | dict[int, str] | dict[int, bytes]

MIN_SUPPORTED_SIGNED_VALUE_VERSION = 1
MAX_SUPPORTED_SIGNED_VALUE_VERSION = 2
#: The version that is written, and the oldest that is read, where the caller names none.
DEFAULT_SIGNED_VALUE_VERSION = 2
DEFAULT_SIGNED_VALUE_MIN_VERSION = 1

_DAY = 86400
_FUTURE_DAYS = 31  # how far ahead the clock of another server may be, in version 1

_signed_value_version_re = regex(rb"^([1-9][0-9]*)\|(.*)$")


def create_signed_value(
    secret: _CookieSecretTypes,
    name: str,
    value: str | bytes,
    version: int | None = None,
    clock: Callable[[], float] | None = None,
    key_version: int | None = None,
) -> bytes:
    """Return ``value`` signed, for this name and as of now.

    :param secret: the key, or a dict of keys by their version.
    :param version: of the format, 1 or 2; default ``DEFAULT_SIGNED_VALUE_VERSION``.
    :param clock: called for the time in seconds; default ``time.time``.
    :param key_version: which key of a dict signs.
    :raises ValueError: there is no such version of the format.
    :raises KeyError: there is no such key.
    """
    if version is None:
        version = DEFAULT_SIGNED_VALUE_VERSION
    now = str(int((time.time if clock is None else clock)()))
    encoded = base64.b64encode(utf8(value))
    if version == 1:
        assert not isinstance(secret, dict), "Version must be at least 2 for key version support"
        return b"%b|%b|%b" % (encoded, utf8(now), _create_signature_v1(secret, name, encoded, now))
    if version != 2:
        raise ValueError(f"Unsupported version {version:d}")
    signed = b"2|"
    for field in (str(key_version or 0), now, name, encoded):
        signed += b"%d:%b|" % (len(field), utf8(field))
    if isinstance(secret, dict):
        assert key_version is not None, "Key version must be set when sign key dict is used"
        secret = secret[key_version]
    return signed + _create_signature_v2(secret, signed)


def decode_signed_value(
    secret: _CookieSecretTypes,
    name: str,
    value: None | str | bytes,
    max_age_days: float = 31,
    clock: Callable[[], float] | None = None,
    min_version: int | None = None,
) -> bytes | None:
    """Return what was signed, or None unless the signature is good, for this name and not too old.

    :param secret: the key, or a dict of keys by their version, which no value of version 1 is signed with.
    :param max_age_days: default 31; may be a fraction.
    :param clock: called for the time in seconds; default ``time.time``.
    :param min_version: older formats count as unsigned; default ``DEFAULT_SIGNED_VALUE_MIN_VERSION``.
    :raises ValueError: ``min_version`` is one that does not exist.
    """
    if min_version is None:
        min_version = DEFAULT_SIGNED_VALUE_MIN_VERSION
    if min_version > MAX_SUPPORTED_SIGNED_VALUE_VERSION:
        raise ValueError(f"Unsupported min_version {min_version:d}")
    if not value:
        return None
    value = utf8(value)
    version = _get_version(value)
    if version < min_version or version not in _decoders:
        return None
    return _decoders[version](secret, name, value, max_age_days, time.time if clock is None else clock)


def get_signature_key_version(value: str | bytes) -> int | None:
    """Return the version of the key that a value claims to be signed with; nothing is verified.

    :returns: None for a value of version 1 and for what is malformed.
    """
    value = utf8(value)
    if _get_version(value) < 2:
        return None
    try:
        return _decode_fields_v2(value)[0]
    except ValueError:
        return None


def _get_version(value: bytes) -> int:
    """The version of the format. Version 1 does not say so: what looks like a large one is base64."""
    number = _signed_value_version_re.match(value)
    return int(number[1]) if number is not None and len(number[1]) <= 3 else 1


def _decode_signed_value_v1(
    secret: _CookieSecretTypes, name: str, value: bytes, max_age_days: float, clock: Callable[[], float]
) -> bytes | None:
    if value.count(b"|") != 2 or isinstance(secret, dict):
        return None
    encoded, signed_at, signature = value.split(b"|")
    if not same_digest(signature, _create_signature_v1(secret, name, encoded, signed_at)):
        gen_log.warning("Invalid cookie signature %r", value)
        return None
    try:
        timestamp = int(signed_at)
    except ValueError:
        return None
    if timestamp < clock() - max_age_days * _DAY:
        gen_log.warning("Expired cookie %r", value)
        return None
    # The signature is the same where the end of the value has been moved to the front of the time. That shows
    # in a time far ahead, or in zeros or a plus sign, with which the number stays what it was.
    if timestamp > clock() + _FUTURE_DAYS * _DAY:
        gen_log.warning("Cookie timestamp in future; possible tampering %r", value)
        return None
    if signed_at.startswith((b"0", b"+")):
        gen_log.warning("Tampered cookie %r", value)
        return None
    return _from_base64(encoded)


def _decode_signed_value_v2(
    secret: _CookieSecretTypes, name: str, value: bytes, max_age_days: float, clock: Callable[[], float]
) -> bytes | None:
    try:
        key_version, signed_at, name_field, encoded, signature = _decode_fields_v2(value)
    except ValueError:
        return None
    if isinstance(secret, dict):
        try:
            secret = secret[key_version]
        except KeyError:
            return None
    signed = value[: len(value) - len(signature)]
    if not same_digest(signature, _create_signature_v2(secret, signed)) or name_field != utf8(name):
        return None
    try:
        timestamp = int(signed_at)
    except ValueError:
        return None
    return None if timestamp < clock() - max_age_days * _DAY else _from_base64(encoded)


_decoders = {1: _decode_signed_value_v1, 2: _decode_signed_value_v2}


def _decode_fields_v2(value: bytes) -> tuple[int, bytes, bytes, bytes, bytes]:
    """Return key version, time, name, value and signature as they stand there.

    :raises ValueError: malformed.
    """
    fields = []
    rest = value[2:]
    for _ in range(4):
        number, _, rest = rest.partition(b":")
        size = int(number)
        if rest[size : size + 1] != b"|":
            raise ValueError("a field of a signed value has another length than it says")
        fields.append(rest[:size])
        rest = rest[size + 1 :]
    key_version, signed_at, name, encoded = fields
    return int(key_version), signed_at, name, encoded, rest


def _from_base64(encoded: bytes) -> bytes | None:
    try:
        return base64.b64decode(encoded)
    except ValueError:
        return None


def same_digest(one: bytes, other: bytes) -> bool:
    """Compare in a time that does not tell how much is the same."""
    import hmac

    return hmac.compare_digest(one, other)


def _create_signature_v1(secret: str | bytes, *parts: str | bytes) -> bytes:
    return _signature(secret, b"".join(map(utf8, parts)), "sha1")


def _create_signature_v2(secret: str | bytes, s: bytes) -> bytes:
    return _signature(secret, utf8(s), "sha256")


def _signature(secret: str | bytes, text: bytes, kind: str) -> bytes:
    import hmac

    return utf8(hmac.digest(utf8(secret), text, kind).hex())
