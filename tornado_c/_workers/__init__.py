"""Processes that serve: how a program starts, forks, reloads and ends. See ARCHITECTURE.rst."""
