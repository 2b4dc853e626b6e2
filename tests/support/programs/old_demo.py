"""Runs a demo of Tornado 2.4 or 4.5: argument 1 is its file, the rest is its own.

Google's OpenID, MySQL and bcrypt have stand-ins here; the demo itself is as its authors left it.
"""

import datetime
import hashlib
import runpy
import sqlite3
import sys
import types
import urllib.parse

import tornado.auth
import tornado.ioloop
import tornado.util


class GoogleMixin:
    """Says at once who is there."""

    def authenticate_redirect(self, callback_uri=None, ax_attrs=("name", "email")):
        query = {"openid.mode": "id_res", "next": self.get_argument("next", "/")}
        self.redirect(self.request.path + "?" + urllib.parse.urlencode(query))

    def get_authenticated_user(self, callback):
        user = {"name": "Ann Bell", "first_name": "Ann", "email": "ann@example.com"}
        tornado.ioloop.IOLoop.instance().add_callback(callback, user)


class Connection:
    """tornado.database's, later torndb's, over SQLite."""

    def __init__(self, **settings):
        self.db = sqlite3.connect(":memory:")
        self.db.create_function("UTC_TIMESTAMP", 0, lambda: "2012-01-02 03:04:05")
        self.db.executescript(
            "CREATE TABLE entries (id INTEGER PRIMARY KEY, author_id, slug, title, markdown, html,"
            " published, updated DEFAULT '2012-01-02 03:04:05');"
            "CREATE TABLE authors (id INTEGER PRIMARY KEY, email, name, hashed_password);"
        )

    def query(self, text, *values):
        cursor = self.db.execute(text.replace("%s", "?"), values)
        rows = [
            tornado.util.ObjectDict(zip([column[0] for column in cursor.description], row, strict=True))
            for row in cursor
        ]
        for row in rows:
            for name in {"published", "updated"} & {*row}:
                row[name] = datetime.datetime.fromisoformat(row[name])
        return rows

    def get(self, text, *values):
        return next(iter(self.query(text, *values)), None)

    def execute(self, text, *values):
        return self.db.execute(text.replace("%s", "?"), values).lastrowid


def module(name, **contents):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(contents)
    return sys.modules[name]


tornado.auth.GoogleMixin = GoogleMixin
tornado.database = module("tornado.database", Connection=Connection)
module("torndb", Connection=Connection)
module("MySQLdb", ProgrammingError=sqlite3.OperationalError)
module("markdown", markdown=lambda text: f"<p>{text}</p>")
module(
    "bcrypt",
    gensalt=lambda: b"salt",
    hashpw=lambda password, salt: salt[:4] + hashlib.sha256(password).hexdigest().encode(),
)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
