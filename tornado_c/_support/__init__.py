"""Private helpers that every wing uses. Nothing here needs an event loop when it is imported."""

from tornado_c._support import autospec as autospec
