"""The parent of prefork workers. `Watch` replaces those that end badly. `Master`, under `python -m
tornado_c`, ends them on SIGTERM, too; on SIGHUP it executes itself anew, the listening sockets open, and
replaces them one by one."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

from tornado_c._netutil import handover
from tornado_c.log import gen_log

_SIGNALS = (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM)

_command: list[str] = []  # empty: this process does not execute itself anew
_folder = ""
_reload_wanted = False


def enable() -> None:
    """Have `fork_processes` obey SIGHUP. To be called by what runs the application, before it does."""
    global _folder
    _command[:] = [sys.executable, *sys.orig_argv[1:]]
    _folder = os.getcwd()
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _on_hangup)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)  # a predecessor left them blocked


def enabled() -> bool:
    return bool(_command)


def _on_hangup(number: int, frame: object) -> None:
    """SIGHUP outside of Master.run(): a successor that starts obeys it later, any other process ends."""
    global _reload_wanted
    if handover.workers():
        _reload_wanted = True
    else:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _wait_for(awaited: list[signal.Signals]) -> int:
    """The next of these signals; SIGCHLD also where a second has brought none, since an application may
    handle that one itself. Handlers of others run meanwhile, where the system allows it (not macOS)."""
    if not hasattr(signal, "sigtimedwait"):
        return signal.sigwait(awaited)
    # With an end, so that the handler of a signal that came just before the call runs, too.
    told = signal.sigtimedwait(awaited, 1.0)
    return signal.SIGCHLD if told is None else told.si_signo


def _signals() -> list[signal.Signals]:
    """What the master waits for: not what the application handles itself."""
    defaults = (signal.SIG_DFL, signal.SIG_IGN)
    return [number for number in _SIGNALS if signal.getsignal(number) in defaults or _is_ours(number)]


def _is_ours(number: int) -> bool:
    """Whether the handler of a signal is one of this package's."""
    module = getattr(signal.getsignal(number), "__module__", None) or ""
    return module.startswith("tornado_c.")


def stop_predecessors() -> None:
    """Have the workers that a predecessor left end well."""
    for pid in handover.workers().values():
        _send(pid, signal.SIGTERM)


def keep_predecessors() -> None:
    """The new program failed before it had workers: watch over the old ones, until SIGHUP tries again."""
    if handover.workers():
        gen_log.error("The program failed to start; its old workers go on, SIGHUP tries again", exc_info=True)
        Master(0, 0, lambda number, children: False, keep=True).run()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let a KeyboardInterrupt wait: within a fork the interpreter would report it and forget it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Watch:
    """Watches over workers and replaces those that end badly.

    :param count: how many there are to be.
    :param restarts: how many that ended badly are replaced, all together.
    :param fork: called with a number and the dict of children: forks, and returns True in the child.
    """

    def __init__(self, count: int, restarts: int, fork: Callable[[int, dict[int, int]], bool]) -> None:
        self.to_start = list(range(count))
        self.restarts = restarts
        self.fork = fork
        self.children: dict[int, int] = {}  # process id: number
        self.stopping = False  # nobody is replaced any more

    def run(self) -> int:
        """Returns the number in a child; in the parent raises SystemExit when no worker is left."""
        while True:
            number = self._start_workers()
            if number is not None:
                return number
            if not self._any_left():
                sys.exit(0)  # returning would make the parent a server like its children were
            self._wait()

    def _start_workers(self) -> int | None:
        """Start what is to be started now; the number, in a child."""
        while self.to_start and self._may_start():
            number = self.to_start.pop(0)
            with _interrupts_held():
                in_child = self.fork(number, self.children)
            if in_child:
                return number
            self._started(number)
        return None

    def _may_start(self) -> bool:
        return True

    def _started(self, number: int) -> None:
        """The worker of this number has been forked; called in the parent."""

    def _any_left(self) -> bool:
        return bool(self.children)

    def _wait(self) -> None:
        """Wait until something has happened, and see to it."""
        self._ended(*os.wait())

    def _ended(self, pid: int, status: int) -> None:
        """A process has ended: a worker, or one that the application started itself."""
        number = self.children.pop(pid, None)
        if number is None or not _report_end(number, pid, status) or self.stopping:
            return
        if self.restarts <= 0:
            raise RuntimeError("Too many child restarts, giving up")
        self.restarts -= 1
        self.to_start.append(number)


def _report_end(number: int, pid: int, status: int) -> bool:
    """Log how a child ended and tell whether it has to be replaced."""
    if os.WIFSIGNALED(status):
        gen_log.warning("child %d (pid %d) killed by signal %d, restarting", number, pid, os.WTERMSIG(status))
        return True
    code = os.WEXITSTATUS(status)
    if code != 0:
        gen_log.warning("child %d (pid %d) exited with status %d, restarting", number, pid, code)
        return True
    gen_log.info("child %d (pid %d) exited normally", number, pid)
    return False


class Master(Watch):
    """Obeys signals as well: SIGTERM ends all workers, SIGHUP executes the program anew.

    :param keep: whether a predecessor's workers stay.
    """

    def __init__(
        self, count: int, restarts: int, fork: Callable[[int, dict[int, int]], bool], keep: bool = False
    ) -> None:
        super().__init__(count, restarts, fork)
        self.keep = keep
        self.old = {pid: number for number, pid in handover.workers().items()}
        self.retiring = 0  # an old worker that was told to end
        self.awaited = _signals()

    def run(self) -> int:
        """As Watch.run, with the signals blocked in the parent."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self.awaited)
        try:
            number = super().run()
            if signal.SIGHUP in self.awaited:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)  # meant for the master, also from a terminal
            return number
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start_workers(self) -> int | None:
        number = super()._start_workers()
        if number is None and not self.to_start and not self.keep:
            for old in list(self.old.values()):  # there are fewer workers than before
                if not self.retiring:
                    self._started(old)
            if not self.old:
                handover.forget()
        return number

    def _may_start(self) -> bool:
        return not self.retiring and not self.stopping

    def _any_left(self) -> bool:
        return bool(self.children or self.old)

    def _wait(self) -> None:
        if _reload_wanted and not self.stopping and (self.keep or not self.old):
            self._execute()
        self._obey(_wait_for(self.awaited))

    def _started(self, number: int) -> None:
        """The old worker of this number is not needed any more."""
        for pid, old_number in self.old.items():
            if old_number == number:
                self.retiring = pid
                _send(pid, signal.SIGTERM)

    def _obey(self, number: int) -> None:
        global _reload_wanted
        if number == signal.SIGHUP:
            _reload_wanted = True
        elif number == signal.SIGTERM:
            self.stopping = True
            for pid in (*self.children, *self.old):
                _send(pid, signal.SIGTERM)
        else:
            self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.old.clear()
                pid = 0
            if pid == 0:
                return
            self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        if self.old.pop(pid, None) is None:
            super()._ended(pid, status)
        elif pid == self.retiring:
            self.retiring = 0

    def _execute(self) -> NoReturn:
        """Become the program anew. The signals stay blocked until it can obey them."""
        gen_log.info("Starting anew for SIGHUP")
        pids = {number: pid for pid, number in (*self.old.items(), *self.children.items())}
        handover.prepare(pids)
        os.chdir(_folder)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(_command[0], _command)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # ended, and not yet noticed
