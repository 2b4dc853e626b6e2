"""The parent of prefork workers. ``Watch`` replaces those that end badly, as Tornado does. ``Master``, under
``python -m tornado_c``, also ends them on SIGTERM, and on SIGHUP has the program executed again and replaces
them one by one.

A master's signals are only noted, as bytes in a pipe, whatever thread they come to; one loop acts on them. A
worker is stopped once its successor serves, and killed where it has not ended some seconds after its
time."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from tornado_c._workers import handover, reload, worker
from tornado_c.log import gen_log

_SIGNALS = (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM)

#: Seconds after its limit at which a stopped worker that has not ended is killed: it hangs.
KILL_MARGIN = 5.0

#: The status of a child that was waited for elsewhere.
_UNKNOWN = 255 << 8

#: Seconds that a worker has to serve what is in flight; see ``shutdown.enable``.
drain_timeout = 30.0

#: A signal that came before a master was there to act on it.
reload_wanted = False
stop_wanted = False


def master_class() -> type[Watch]:
    """What rules the workers of this program."""
    in_main = threading.current_thread() is threading.main_thread()
    return Master if reload.enabled() and in_main else Watch


def keep_predecessors() -> None:
    """The new program failed before it had workers: rule the old ones, until SIGHUP tries again.

    Returns when none is left, or raises SystemExit where SIGTERM has ended them.
    """
    if handover.predecessors():
        if not stop_wanted:
            reload.report_failure(exc_info=True)
        Master(0, 0, lambda number: 0).run()


class Watch:
    """Watches over workers and replaces those that end badly.

    :param count: how many there are to be.
    :param restarts: how many that ended badly are replaced, all together.
    :param fork: called with a number; forks, and returns the process id, or 0 in the child.
    """

    def __init__(self, count: int, restarts: int, fork: Callable[[int], int]) -> None:
        self.to_start = list(range(count))
        self.restarts = restarts
        self.fork = fork
        self.children: dict[int, int] = {}  # process id: number

    def run(self) -> int:
        """Returns the number in a child; in the parent raises SystemExit when no worker is left."""
        while True:
            number = self._start_workers()
            if number is not None:
                return number
            if not self.children:
                sys.exit(0)  # returning would make the parent a server like its children were
            self._ended(*os.wait())

    def _start_workers(self) -> int | None:
        """Start what is to be started now; the number, in a child."""
        while self.to_start:
            number = self.to_start.pop(0)
            with reload.signals_held():
                pid = self.fork(number)
            if pid == 0:
                return number
            self.children[pid] = number
        return None

    def _ended(self, pid: int, status: int) -> None:
        """A process has ended: a worker, or one that the application started itself."""
        number = self.children.pop(pid, None)
        if number is not None and _report_end(number, pid, status):
            self._restart(number)

    def _restart(self, number: int) -> None:
        if self.restarts <= 0:
            raise RuntimeError("Too many child restarts, giving up")
        self.restarts -= 1
        self.to_start.append(number)


def _report_end(number: int, pid: int, status: int, then: str = ", restarting") -> bool:
    """Log how a child ended. Returns whether that was bad."""
    if os.WIFSIGNALED(status):
        gen_log.warning("child %d (pid %d) killed by signal %d%s", number, pid, os.WTERMSIG(status), then)
        return True
    code = os.WEXITSTATUS(status)
    if code != 0:
        gen_log.warning("child %d (pid %d) exited with status %d%s", number, pid, code, then)
        return True
    gen_log.info("child %d (pid %d) exited normally", number, pid)
    return False


class Child:
    """A worker as its master knows it."""

    def __init__(self, number: int, pid: int, line: socket.socket | None, old: bool = False) -> None:
        self.number = number
        self.pid = pid
        self.line = line
        self.old = old  # a predecessor's
        self.serves = old
        self.kill_at: float | None = None  # set once it was stopped

    @classmethod
    def of(cls, left: handover.Predecessor) -> Child:
        line = None
        with contextlib.suppress(OSError, ValueError):  # it may have closed its end, and not ended yet
            line = socket.socket(fileno=left.line)
        child = cls(left.number, left.pid, line, old=True)
        child.kill_at = left.kill_at
        return child

    def leave(self) -> handover.Predecessor:
        """For the next program."""
        return handover.Predecessor(
            self.number, self.pid, self.line.fileno() if self.line else -1, self.kill_at
        )

    @property
    def stays(self) -> bool:
        return self.kill_at is None

    def stop(self, what: bytes) -> None:
        """Have it end, well or at once. Any program understands SIGTERM; the line says who sent it."""
        if self.kill_at is None:
            self.kill_at = time.monotonic() + drain_timeout + KILL_MARGIN
        with contextlib.suppress(OSError):
            if self.line is not None:
                self.line.send(what, socket.MSG_DONTWAIT)
        self.send(signal.SIGTERM)

    def retire(self) -> None:
        """Have it end well, unless it was stopped already."""
        if self.stays:
            self.stop(worker.DRAIN)

    def has_ended(self) -> bool:
        """Whether it has; its end is waited for then."""
        try:
            ended = os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            ended = True
        if ended:
            self.close()
        return ended

    def kill_if_overdue(self) -> None:
        if self.kill_at is not None and time.monotonic() > self.kill_at:
            gen_log.warning("child %d (pid %d) does not end, killing it", self.number, self.pid)
            self.kill_at = time.monotonic() + KILL_MARGIN
            self.send(signal.SIGKILL)

    def send(self, number: int) -> None:
        if handover.is_child(self.pid):
            os.kill(self.pid, number)

    def heard(self) -> bytes:
        """What it has said since."""
        if self.line is None:
            return b""
        try:
            said = self.line.recv(64, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        except OSError:
            said = b""
        if not said:
            self.close()
        return said

    def close(self) -> None:
        if self.line is not None:
            self.line.close()
            self.line = None


class Master(Watch):
    """Obeys signals as well: SIGTERM ends all workers, SIGHUP has the program executed again.

    With a count of 0 it has no program, and rules the workers that a predecessor left.
    """

    def __init__(self, count: int, restarts: int, fork: Callable[[int], int]) -> None:
        super().__init__(count, restarts, fork)
        self.has_program = count > 0
        self.workers = {left.pid: Child.of(left) for left in handover.take_predecessors()}
        self.held = not self.has_program  # the roll-out has stopped: the new workers do not come to serve
        self.stopped_at: float | None = None
        self.trial: reload.Trial | None = None
        self.pid = os.getpid()
        self.notes = _Notes()

    def run(self) -> int:
        """As Watch.run."""
        try:
            while True:
                number = self._start_workers()
                if number is not None:
                    return number
                if not self.workers:
                    if self.stopped_at is not None or self.has_program:
                        sys.exit(0)
                    return -1
                self._see_to_reloading()
                self._wait()
        finally:
            if os.getpid() == self.pid:
                self._end_trial()
                self.notes.close()

    # ---- starting ----

    def _start_workers(self) -> int | None:
        while self.to_start and self._may_start():
            number = self.to_start[0]
            lines: tuple[socket.socket, ...] = ()
            with reload.signals_held():
                try:
                    lines = ours, theirs = socket.socketpair()
                    pid = self.fork(number)
                except OSError:
                    for line in lines:
                        line.close()
                    if not self.workers:
                        raise
                    gen_log.error("Cannot start child %d now", number, exc_info=True)
                    return None
                if pid == 0:
                    ours.close()
                    self._become_worker(theirs)
                    return number
            theirs.close()
            self.to_start.pop(0)
            self.workers[pid] = Child(number, pid, ours)
        if not self.to_start and not self._old():
            handover.close_rest()
        return None

    def _become_worker(self, line: socket.socket) -> None:
        """In a worker that has just been forked: drop what is the master's."""
        hangup = signal.SIGHUP in self.notes.signals
        self.notes.close()
        succeeds = bool(self._old())
        for other in self.workers.values():
            other.close()
        self.workers.clear()
        if hangup:
            signal.signal(signal.SIGHUP, worker.on_hangup)
        worker.begin(line, self.pid, succeeds)

    def _may_start(self) -> bool:
        """One at a time where old ones wait for their successors, or all at once."""
        if self.stopped_at is not None:
            return False
        return not self._old() or all(child.serves for child in self.workers.values() if child.stays)

    def _old(self) -> list[Child]:
        """The predecessor's workers that have not been stopped."""
        return [child for child in self.workers.values() if child.old and child.stays]

    def _serves(self, child: Child) -> None:
        """A worker serves: the old one of its number is not needed any more, nor one without a successor."""
        child.serves = True
        for old in self._old():
            if not self.held and (old.number == child.number or not self.to_start):
                old.retire()

    # ---- waiting ----

    def _wait(self) -> None:
        """Wait until something has happened, and see to it."""
        poll = select.poll()
        poll.register(self.notes.fd, select.POLLIN)
        for child in self.workers.values():
            if child.line is not None:
                poll.register(child.line, select.POLLIN)
        if self.trial is not None:
            poll.register(self.trial.fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(1000)}
        for number in self.notes.take():
            self._obey(number)
        for child in list(self.workers.values()):
            self._hear(child)
            child.kill_if_overdue()
        self._reap()
        if self.trial is not None and self.trial.fd in ready:
            self._tried()

    def _obey(self, number: int) -> None:
        global reload_wanted
        if number == signal.SIGTERM or (number == signal.SIGHUP and reload.lost_terminal()):
            self._stop()
        elif number == signal.SIGHUP:
            reload_wanted = True

    def _stop(self) -> None:
        now = time.monotonic()
        if self.stopped_at is None:
            self.stopped_at = now
            self._end_trial()
            handover.close_all()  # else who connects while the workers drain would wait for nobody
            for child in self.workers.values():
                child.retire()
        elif now - self.stopped_at > worker.TOGETHER:
            for child in self.workers.values():
                child.stop(worker.HURRY)

    def _hear(self, child: Child) -> None:
        said = child.heard()
        if worker.SERVES in said and not child.serves:
            self._serves(child)
        if worker.STOPPED in said and child.stays and self.stopped_at is None:
            # Not the service was stopped, but only this process.
            child.kill_at = time.monotonic() + drain_timeout + KILL_MARGIN
            self._succeed(child)

    def _succeed(self, child: Child) -> None:
        """Have another worker started in the place of one that leaves, unless there is one already."""
        if self.has_program and not self._is_staffed(child.number):
            self.to_start.append(child.number)

    def _is_staffed(self, number: int) -> bool:
        others = (child.number for child in self.workers.values() if child.stays)
        return number in self.to_start or number in others

    # ---- ends ----

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid = 0
            if pid == 0:
                break
            self._ended(pid, status)
        for pid in list(self.workers):
            if not handover.is_child(pid):  # the application has waited for it
                self._ended(pid, _UNKNOWN)

    def _ended(self, pid: int, status: int) -> None:
        if self.trial is not None and pid == self.trial.pid:
            self._tried()
        child = self.workers.get(pid)
        if child is None:
            return
        self._hear(child)
        child.close()
        del self.workers[pid]
        if not child.stays or self.stopped_at is not None:
            _report_end(child.number, pid, status, then="")
        elif self._old() and not child.serves:
            _report_end(child.number, pid, status, then="")
            self._hold()
        elif self._is_staffed(child.number) or not self.has_program:
            _report_end(child.number, pid, status, then="")
        elif _report_end(child.number, pid, status):
            if self.restarts <= 0 and self._old():
                self._hold()
            else:
                self._restart(child.number)

    def _hold(self) -> None:
        """New workers end before they serve: no old one is given up for them."""
        self.held = True
        self.to_start.clear()
        gen_log.error(
            "The new program's workers end before they serve; the old ones go on, SIGHUP tries again"
        )

    # ---- reloading ----

    def _see_to_reloading(self) -> None:
        global reload_wanted, stop_wanted
        if stop_wanted:
            stop_wanted = False
            self._stop()
        rolling = self._old() and not self.held
        if reload_wanted and self.trial is None and self.stopped_at is None and not rolling:
            reload_wanted = False
            self.trial = reload.start_trial()

    def _tried(self) -> None:
        assert self.trial is not None
        good = self.trial.passed()
        self.trial = None
        if not good:
            reload.report_failure()
        elif not reload_wanted:
            self._execute()

    def _end_trial(self) -> None:
        if self.trial is not None:
            self.trial.end()
            self.trial = None

    def _execute(self) -> None:
        """Execute the program again, unless a signal came just now. Returns where that is not possible."""
        with reload.signals_held():
            for number in self.notes.take():
                self._obey(number)
            if self.stopped_at is None and not reload_wanted:
                reload.execute([child.leave() for child in self.workers.values()], self.notes.fd)


class _Notes:
    """The signals that have come, as bytes in a pipe, into which any thread's handler writes."""

    def __init__(self) -> None:
        self.fd, self._written = os.pipe()
        for fd in (self.fd, self._written):
            os.set_blocking(fd, False)
        self._before: dict[int, Any] = {}
        self._before_fd = signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if handler in (signal.SIG_DFL, signal.SIG_IGN) or _is_ours(handler):
                self._before[number] = handler
                signal.signal(number, _note)
        self.signals = frozenset(self._before)

    def take(self) -> list[int]:
        """Those that came since; only what the application does not handle itself."""
        try:
            return [number for number in os.read(self.fd, 65536) if number in self.signals]
        except BlockingIOError:
            return []

    def close(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        signal.set_wakeup_fd(self._before_fd)
        os.close(self.fd)
        os.close(self._written)


def _note(number: int, frame: Any) -> None:
    """Nothing to do: the byte in the pipe says all."""


def _is_ours(handler: Any) -> bool:
    return (getattr(handler, "__module__", None) or "").startswith("tornado_c.")
