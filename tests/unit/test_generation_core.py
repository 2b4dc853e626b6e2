"""What generation 4 changes in modules that are ours, each in a program of its own."""

import textwrap

import pytest

from support.children import run_quietly

pytest.importorskip("tornado")

PERIODIC = """
import logging, sys
import tornado_c
tornado_c.install(generation={generation})
from tornado import gen
from tornado.ioloop import IOLoop, PeriodicCallback

seen = []
loop = IOLoop.current()

class Loop(type(loop)):
    def handle_callback_exception(self, callback):
        seen.append((callback, sys.exc_info()[0]))

loop.__class__ = Loop

def run(callback, calls, kind=PeriodicCallback):
    del seen[:]
    periodic = kind(callback, 1)
    def look():
        if len(seen) < calls:
            loop.call_later(0.001, look)
        else:
            periodic.stop()
            loop.stop()
    periodic.start()
    look()
    loop.start()
    return seen[:calls]
"""


def run(program, generation=4):
    lines = run_quietly(program.format(generation=generation), interpreter=["-W", "error"])
    return " ".join(lines).split()


def test_a_periodic_callback_is_called_in_its_own_turn():
    program = PERIODIC + textwrap.dedent("""
        periodic = PeriodicCallback(lambda: seen.append("tick"), 10)
        periodic.start()
        assert periodic._run().done() and seen == ["tick"], seen
        periodic.stop()
        assert periodic._run().done() and seen == ["tick"], seen
    """)
    assert run(program) == []


@pytest.mark.parametrize("kind", ["def", "async def", "@gen.coroutine\ndef"])
def test_errors_of_a_periodic_callback_are_the_loops(kind):
    end = "yield gen.moment" if "gen" in kind else "pass"
    program = PERIODIC + f"{kind} tick():\n    1 / 0\n    {end}\n"
    program += "assert run(tick, 3) == [(tick, ZeroDivisionError)] * 3, seen\n"
    assert run(program) == []


def test_a_periodic_callback_is_waited_for():
    program = PERIODIC + textwrap.dedent("""
        @gen.coroutine
        def tick():
            seen.append("begin")
            yield gen.sleep(0.01)
            seen.append("end")

        assert run(tick, 6) == ["begin", "end"] * 3, seen
    """)
    assert run(program) == []


@pytest.mark.parametrize("keyword", ["await", "return"])
def test_an_overridden_run_of_a_periodic_callback(keyword):
    """As programs for either generation have it."""
    program = PERIODIC + textwrap.dedent(f"""
        class Mine(PeriodicCallback):
            {"async def" if keyword == "await" else "def"} _run(self):
                seen.append("run")
                {keyword} super()._run()

        assert run(lambda: seen.append("call"), 6, Mine) == ["run", "call"] * 3, seen
    """)
    assert run(program) == []


@pytest.mark.parametrize("generation, expected", [(4, "None"), (6, "yesterday")])
def test_a_304_is_without_last_modified(generation, expected):
    program = textwrap.dedent("""
        import io, logging
        import tornado_c
        tornado_c.install(generation={generation})
        from tornado import testing, web
        import unittest

        logging.disable(logging.CRITICAL)

        class Page(web.RequestHandler):
            def get(self, code):
                self.set_header("Last-Modified", "yesterday")
                self.set_status(int(code))

        class Test(testing.AsyncHTTPTestCase):
            def get_app(self):
                return web.Application([("/(.*)", Page)])

            def test(self):
                headers = [self.fetch("/" + code).headers for code in ("304", "204", "200")]
                print(*[h.get("Last-Modified") for h in headers])

        unittest.TextTestRunner(stream=io.StringIO()).run(Test("test"))
    """)
    assert run(program, generation) == [expected, "yesterday", "yesterday"]
