import collections.abc
from functools import lru_cache
from . import _core
class HTTPInputError(Exception): pass
@lru_cache(1000)
def _normalize_header(name: str) -> str:
    return "-".join([part.capitalize() for part in name.split("-")])
class HTTPHeaders(_core.HeadersBase, collections.abc.MutableMapping[str, str]): pass
_core.register("normalize_header", _normalize_header)
_core.register("httputil_globals", globals())
_core.register("HTTPHeaders", HTTPHeaders)
_core.register("HTTPInputError", HTTPInputError)
