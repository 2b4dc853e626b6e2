"""How much the forms in requests may have."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class ParseMultipartConfig:
    """Limits on bodies of the type ``multipart/form-data``."""

    #: False refuses all of them.
    enabled: bool = True
    #: How many parts (form fields and files) a body may have.
    max_parts: int = 100
    #: How many bytes of headers each part may have.
    max_part_header_size: int = 10 * 1024


@dataclasses.dataclass
class ParseUrlEncodedConfig:
    """Limits on bodies of the type ``application/x-www-form-urlencoded`` and on query strings."""

    #: How many arguments there may be.
    max_arguments: int = 1000


@dataclasses.dataclass
class ParseBodyConfig:
    """Limits on the form bodies of requests, by their type."""

    multipart: ParseMultipartConfig = dataclasses.field(default_factory=ParseMultipartConfig)
    urlencoded: ParseUrlEncodedConfig = dataclasses.field(default_factory=ParseUrlEncodedConfig)


#: Where nobody has set others.
_DEFAULT_PARSE_BODY_CONFIG = ParseBodyConfig()
