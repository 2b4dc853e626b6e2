"""Executing a program again, in the same process: the new one is tried first, as a child that goes as far as
``fork_processes`` or the first server, and the old one is given up only where that went well."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tornado_c import _core
from tornado_c._workers import handover, serving
from tornado_c.log import gen_log

#: Signals that wait while a process forks a worker or becomes another program.
_HELD = (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)

_GOOD = b"g"

_pid = 0
_command: list[str] = []  # empty: this process does not execute itself again
_folders: list[str] = []
_folder_fd = -1
_ignored = False  # SIGHUP, when the program was started: it has no terminal to lose
_terminal = False


def enable() -> None:
    """To be called by what runs the application, before it does."""
    global _pid, _folder_fd, _ignored, _terminal
    _pid = os.getpid()
    _command[:] = [sys.executable, *sys.orig_argv[1:]]
    with contextlib.suppress(OSError):
        here = os.getcwd()
        # Where the shell came through a link, as releases are exchanged by, the link counts.
        named = os.environ.get("PWD", "")
        if named and os.path.isabs(named) and _same_folder(named, here):
            _folders.append(named)
        _folders.append(here)
        _folder_fd = os.open(".", os.O_RDONLY)
    _ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    _terminal = _has_terminal()
    if handover.trial >= 0:
        _core.signal_when_parent_ends(signal.SIGKILL)
        serving.on_accepting = lambda loop: trial_passed()
    else:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)  # a predecessor left them blocked
        for number in _late_signals():
            os.kill(os.getpid(), number)


def enabled() -> bool:
    return bool(_command) and handover.trial < 0


def lost_terminal() -> bool:
    """Whether SIGHUP means that the terminal is gone, and not that the program is to be reloaded."""
    return _terminal and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _same_folder(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _late_signals() -> set[int]:
    """What a thread of the predecessor noted while that was giving itself up."""
    noted: set[int] = set()
    if handover.notes >= 0:
        with contextlib.suppress(OSError), open(handover.notes, "rb", buffering=0) as notes:
            noted.update(notes.read(1024) or b"")
    return noted & {signal.SIGHUP, signal.SIGTERM}


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Let signals wait. A KeyboardInterrupt within a fork would be reported and forgotten."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --------------------------------------------------------------------------- trying


def trial_passed() -> None:
    """The program gets as far as it has to; where it is only tried that is all."""
    if handover.trial >= 0 and _pid == os.getpid():
        os.write(handover.trial, _GOOD)
        os._exit(0)


class Trial:
    """The new program, run as a child until it shows whether it is good.

    :ivar fd: readable when it has.
    :raises OSError: it cannot be started.
    """

    def __init__(self) -> None:
        gen_log.info("Trying the program for SIGHUP")
        self.fd, report = os.pipe()
        os.set_blocking(self.fd, False)
        try:
            variables, fds = handover.pack(trial=report)
            self._process = subprocess.Popen(
                _command,
                cwd=_folder(),
                env={**os.environ, **variables},
                pass_fds=fds,
            )
            self.pid = self._process.pid
        except BaseException:
            os.close(self.fd)
            raise
        finally:
            os.close(report)

    def passed(self) -> bool:
        """To be called when ``fd`` is readable, or the process has ended."""
        try:
            good = os.read(self.fd, 1) == _GOOD
        except BlockingIOError:
            good = False
        if not good and self._process.poll() is None:
            # It has closed all its descriptors; what is left of it is of no use.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        self.end()
        return good

    def end(self) -> None:
        """End it, if it still runs."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self._process.kill()
            self._process.wait()


def start_trial() -> Trial | None:
    """None, with a line in the log: it cannot be started."""
    try:
        return Trial()
    except OSError:
        report_failure(exc_info=True)
        return None


def report_failure(**more: Any) -> None:
    gen_log.error("The program failed to start; its old workers go on, SIGHUP tries again", **more)


def _folder() -> str | None:
    """Where the program was started: by its name, or where it has been moved to; None: it is gone."""
    for path in _folders:
        if os.path.isdir(path):
            return path
    if _folder_fd >= 0:
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/self/fd/{_folder_fd}")
    return None


# --------------------------------------------------------------------------- executing


def execute(workers: Iterable[handover.Predecessor] = (), notes: int = -1) -> None:
    """Execute the program again. Signals must be held; they stay so until the new program can obey them.

    Returns, with a line in the log, where that is not possible.
    """
    gen_log.info("Starting anew for SIGHUP")
    variables, fds = handover.pack(workers, notes=notes)
    before = signal.getsignal(signal.SIGHUP)
    try:
        for fd in fds:
            os.set_inheritable(fd, True)
        os.environ.update(variables)
        if folder := _folder():
            os.chdir(folder)
        sys.stdout.flush()
        sys.stderr.flush()
        if _ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execv(_command[0], _command)
    except (OSError, ValueError):
        report_failure(exc_info=True)
    os.environ.pop(handover.VARIABLE, None)
    for fd in fds:
        os.set_inheritable(fd, False)
    signal.signal(signal.SIGHUP, before)


def execute_at_end(workers: Iterable[handover.Predecessor]) -> None:
    """The same for a program that has come to its end."""
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    execute(workers)
