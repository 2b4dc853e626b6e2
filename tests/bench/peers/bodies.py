"""What the applications of the peers answer, as those of apps/ do; each is written as its server likes it."""

import json
import re
from urllib.parse import parse_qs

from python_multipart.multipart import create_form_parser

TEXT = b"Hello, world!"
LARGE = b"x" * (1 << 20)
ITEM = re.compile(r"/items/([0-9]+)")


def item(path: str, query: str) -> bytes | None:
    """The row "item": a path with an argument, an argument of the query, JSON."""
    found = ITEM.fullmatch(path)
    if found is None:
        return None
    name = parse_qs(query)["name"][0]
    return json.dumps({"id": found[1], "name": name, "user": "alice"}).encode()


class Upload:
    """A form with a file in it, which is fed in pieces and kept in memory, as Tornado's are."""

    def __init__(self, content_type: str) -> None:
        self.size = 0
        headers = {"Content-Type": content_type.encode()}
        self._parser = create_form_parser(
            headers, None, self._on_file, config={"MAX_MEMORY_FILE_SIZE": 1 << 30}
        )
        self.feed = self._parser.write

    def _on_file(self, file) -> None:
        self.size = file.size

    def answer(self) -> bytes:
        self._parser.finalize()
        return str(self.size).encode()
