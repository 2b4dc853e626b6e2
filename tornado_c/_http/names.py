"""What ``httputil`` has on demand."""

from __future__ import annotations

from tornado_c._support.names import Names

NAMES = Names(
    "tornado_c.httputil",
    modules=("unicodedata",),
    packages={"http": "http.cookies"},
    members={
        "ParseBodyConfig": "tornado_c._http.form_limits",
        "ParseMultipartConfig": "tornado_c._http.form_limits",
        "ParseUrlEncodedConfig": "tornado_c._http.form_limits",
        "_DEFAULT_PARSE_BODY_CONFIG": "tornado_c._http.form_limits",
        "_ABNF": "tornado_c._http.grammar",
        "responses": "tornado_c._http.reasons",
    },
)
