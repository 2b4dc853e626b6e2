"""Tornado's server core, reimplemented in C."""

version = "6.6.1"
version_info = (6, 6, 1, 0)
__version__ = "0.1.0"
