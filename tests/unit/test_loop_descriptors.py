"""Descriptors that are closed while a loop watches them: numbers that come again, duplicates that live
on, and numbers that are no descriptors.
"""

import asyncio
import contextlib
import os
import socket

import pytest

import tornado_c
from support.children import run_alone
from tornado_c.ioloop import IOLoop


@pytest.fixture
def loop():
    with contextlib.closing(tornado_c.new_event_loop()) as loop:
        yield loop


@pytest.fixture
def pair():
    a, b = socket.socketpair()
    with a, b:
        yield a, b


def run(loop, seconds=0.02):
    loop.call_later(seconds, loop.stop)
    loop.run_forever()


def replace(fd, sock):
    """Close a descriptor and give its number to another file."""
    os.close(fd)
    assert os.dup2(sock.fileno(), fd) == fd


@pytest.fixture
def number(pair):
    fd = os.dup(pair[0].fileno())
    yield fd
    os.close(fd)


def test_reader_under_a_number_that_came_again(loop, pair, number):
    calls = []
    loop.add_reader(number, calls.append, "old")
    c, d = socket.socketpair()
    with c, d:
        replace(number, c)
        loop.add_reader(number, lambda: (calls.append("new"), os.read(number, 9)))
        pair[1].send(b"x")  # the old file lives on in pair[0]
        d.send(b"x")
        run(loop)
        assert calls == ["new"]
        d.send(b"x")
        run(loop)
        assert calls == ["new", "new"]
        assert loop.remove_reader(number)


def test_what_was_added_for_the_old_file_is_over(loop, pair, number):
    calls = []
    loop.add_reader(number, calls.append, "old reader")
    c, d = socket.socketpair()
    with c, d:
        replace(number, c)
        loop.add_writer(number, lambda: (calls.append("writer"), loop.remove_writer(number)))
        d.send(b"x")
        run(loop)
        assert calls == ["writer"]
        assert not loop.remove_reader(number)


def test_handler_under_a_number_that_came_again(loop, pair, number):
    """Stock Tornado says "added twice"."""
    calls = []
    io_loop = IOLoop(make_current=False, asyncio_loop=loop)
    io_loop.add_handler(number, lambda fd, events: calls.append("old"), io_loop.READ)
    with pytest.raises(ValueError, match="added twice"):
        io_loop.add_handler(number, print, io_loop.READ)
    c, d = socket.socketpair()
    with c, d:
        replace(number, c)
        io_loop.add_handler(
            number, lambda fd, events: (calls.append("new"), os.read(number, 9)), io_loop.READ
        )
        d.send(b"x")
        run(loop)
        assert calls == ["new"]
        io_loop.remove_handler(number)
    io_loop.close()


class Counting(tornado_c.EventLoop):
    turns = 0

    def time(self):
        self.turns += 1
        return super().time()


def test_a_duplicate_that_lives_on_does_not_keep_the_loop_busy(pair):
    a, b = pair
    with contextlib.closing(Counting()) as loop:
        fd = os.dup(a.fileno())
        loop.add_reader(fd, print)
        os.close(fd)
        loop.remove_reader(fd)
        b.send(b"x")
        run(loop)
        loop.turns = 0
        run(loop, 0.2)
        assert loop.turns < 20
        calls = []
        loop.add_reader(a, lambda: calls.append(a.recv(9)))
        run(loop)
        assert calls == [b"x"]
        loop.remove_reader(a)


@pytest.mark.guest
def test_the_same_in_a_guest(pair):
    class Host(asyncio.SelectorEventLoop):
        turns = 0

        def _run_once(self):
            self.turns += 1
            super()._run_once()

    a, b = pair
    c, d = socket.socketpair()
    host = Host()
    io_loop = IOLoop(make_current=False, asyncio_loop=host)
    calls = []
    fd = os.dup(a.fileno())
    io_loop.add_handler(fd, print, io_loop.READ)
    io_loop.add_handler(c, lambda sock, events: calls.append(sock.recv(9)), io_loop.READ)
    os.close(fd)
    io_loop.remove_handler(fd)
    b.send(b"x")
    run(host)
    host.turns = 0
    run(host, 0.2)
    assert host.turns < 20
    d.send(b"y")
    run(host)
    assert calls == [b"y"]
    io_loop.close()
    c.close()
    d.close()


def test_numbers_that_are_no_descriptors():
    program = """if True:
        import resource, tornado_c
        from tornado_c.ioloop import IOLoop
        io_loop = IOLoop()
        loop = io_loop.asyncio_loop
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for fd in (3_000_000, 30_000_000):
            for add in (io_loop.add_handler, loop.add_reader, loop.add_writer):
                try:
                    add(fd, print, io_loop.READ)
                except OSError as e:
                    print(e.strerror)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 50_000)
    """
    assert run_alone(program) == "Bad file descriptor\n" * 6 + "0\n"
