"""Resolvers that begin without being awaited, and are given the current loop if none other."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tornado_c._generation4.begun import begun
from tornado_c._generation4.simple_httpclient import with_loop
from tornado_c._swap.generation import Changes
from tornado_c.ioloop import IOLoop


def add(module: ModuleType, changes: Changes) -> None:
    """Add to ``tornado.netutil``."""
    make_plain = module.Resolver.__new__

    def make(cls: Any, *args: Any, io_loop: Any = None, **kwargs: Any) -> Any:
        return make_plain(cls, *args, io_loop=io_loop or IOLoop.current(), **kwargs)

    changes.set(module.Resolver, "__new__", staticmethod(make))
    for resolver in (module.ExecutorResolver, module.BlockingResolver, module.ThreadedResolver):
        changes.set(resolver, "initialize", with_loop(resolver.initialize))
    for resolver in (module.DefaultLoopResolver, module.DefaultExecutorResolver):
        changes.set(resolver, "resolve", begun(resolver.resolve))
