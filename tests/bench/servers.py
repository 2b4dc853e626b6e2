"""What the measuring programs of this folder share: the limit's build, the applications, starting and
stopping a server on its own core, and reading how much CPU it has used."""

import functools
import importlib.util
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import peers

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SERVERS = ("limit", "stock", "ours")
PACKAGES = {"stock": "tornado", "ours": "tornado_c"}


class Missing(Exception):
    """A tool or a server that this machine cannot offer; the message names it."""


def need(tool: str, hint: str) -> str:
    path = shutil.which(tool)
    if path is None:
        raise Missing(f"{tool} is not installed ({hint})")
    return path


@functools.cache
def build(name: str) -> Path:
    """Compiles a C program of this folder where the result is older than the source."""
    source, program = HERE / f"{name}.c", RESULTS / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        RESULTS.mkdir(exist_ok=True)
        compiler = os.environ.get("CC") or need("cc", "install gcc")
        command = [*compiler.split(), "-std=gnu11", "-O3", "-g", "-Wall", "-Wextra"]
        subprocess.run([*command, str(source), "-o", str(program)], check=True)
    return program


def application(name: str, package: str) -> Path:
    """The path of an application that is written for Tornado; for another package, of a copy in which nothing
    but the imports differ."""
    source = HERE / "apps" / f"{name}.py"
    if package == "tornado":
        return source
    text = re.sub(r"^from tornado\b", f"from {package}", source.read_text(), flags=re.M)
    copy = RESULTS / package / source.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    if not copy.exists() or copy.read_text() != text:
        copy.write_text(text)
    return copy


@functools.cache
def missing_reason(server: str, app: str) -> str | None:
    """Why this server cannot run this application, or None."""
    if server in peers.ALL:
        return peers.missing_reason(server)
    if server == "limit":
        return "nginx is not installed" if app == "static" and shutil.which("nginx") is None else None
    package = PACKAGES[server]
    if server == "stock" and app == "raw":
        return "Tornado 6 has no request.write"
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    source = application(app, package).read_text()
    imports = "\n".join(re.findall(r"^from \S+ import .*$", source, flags=re.M))
    trial = subprocess.run([sys.executable, "-P", "-c", imports], capture_output=True, text=True)
    if trial.returncode != 0:
        lines = trial.stderr.strip().splitlines()
        return lines[-1] if lines else f"the imports of {app}.py failed"
    return None


NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; keepalive_requests 1000000000;
    client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
    uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
    server {{ listen 127.0.0.1:{port} backlog=4096; location /static/ {{ alias {folder}/; }} }}
}}
"""


def static_folder() -> Path:
    """The folder that the rows of static files ask for."""
    folder = Path(tempfile.gettempdir(), "tornado_c-bench")
    folder.mkdir(exist_ok=True)
    for name, content in (("100k.bin", b"x" * 102400), ("small.txt", b"Hello, world!")):
        if not Path(folder, name).exists():
            Path(folder, name).write_bytes(content)
    return folder


def nginx(port: int) -> list[str]:
    """The limit of static files."""
    folder = static_folder()
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(folder=folder, port=port))
    return [need("nginx", "install nginx"), "-c", str(settings)]


def command_line(server: str, app: str, limit_mode: str, port: int) -> list[str]:
    if app == "static":
        static_folder()
    if server in peers.ALL:
        return peers.command_line(server, app, port, static_folder())
    if server == "limit" and limit_mode == "nginx":
        return nginx(port)
    if server == "limit":
        return [str(build("limit")), str(port), limit_mode]
    return [sys.executable, str(application(app, PACKAGES[server])), str(port)]


def free_port() -> int:
    """Of those that the system gives nobody: a server is measured on a busy machine, too."""
    while True:
        port = random.randrange(10_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def cores() -> tuple[int, int]:
    """The server's core and the client's; the same one on a machine that has no second."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


def family(pid: int) -> list[int]:
    """A process and its descendants: some servers work in a child."""
    children = [Path(task, "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return [pid, *(each for text in children for child in text.split() for each in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of another process, from its own CPU clock (nanoseconds, where
    /proc/PID/stat counts hundredths of a second)."""
    return time.clock_gettime((~pid << 3) | 2)


def cpu_split(pid: int) -> tuple[int, int]:
    """(user, system) clock ticks from /proc/PID/stat: coarse, used for the proportion only."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def measured(pid: int, drive) -> dict:
    """What `drive()` found, its "operations" among it, and the server's CPU time for each of them."""
    pids = family(pid)

    def spent() -> tuple[float, int, int]:
        ticks = [cpu_split(each) for each in pids]
        return sum(map(cpu_seconds, pids)), sum(t[0] for t in ticks), sum(t[1] for t in ticks)

    before = spent()
    result = drive()
    time.sleep(0.05)
    cpu, user, system = (new - old for new, old in zip(spent(), before, strict=True))
    result["cpu_us"] = cpu / result["operations"] * 1e6
    result["user_share"] = user / (user + system) if user + system else 0.0
    return result


def wait_until_listening(process: subprocess.Popen, port: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with status {process.returncode}") from None
            if time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"the server did not listen within {timeout:.0f} s") from None
            time.sleep(0.02)


def stop(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running(
    server: str, app: str, limit_mode: str = "hello", *, wrapper=(), core=None, timeout=60.0, quiet=False
):
    """Starts a server; yields (process, port). `wrapper` goes before its command line (valgrind, strace)."""
    port = free_port()
    command = [*wrapper, *command_line(server, app, limit_mode, port)]
    if core is not None:
        command = [need("taskset", "it is in util-linux"), "-c", str(core), *command]
    output = subprocess.DEVNULL if quiet else None
    environment = dict(os.environ, PYTHONHASHSEED="0")
    process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        wait_until_listening(process, port, timeout)
        yield process, port
    finally:
        stop(process)


class Client:
    """One keep-alive connection that sends prepared bytes and counts whole answers."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server closed the connection")
        self.pending += data

    def answer(self) -> tuple[bytes, bytes]:
        """The next answer's head and body."""
        while (end := self.pending.find(b"\r\n\r\n")) < 0:
            self._more()
        head = self._take(end + 4)
        found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        chunked = re.search(rb"\r\ntransfer-encoding: *chunked\r", head, re.I)
        if not (found or chunked) or not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"unexpected answer: {head!r}")
        return head, self._take(int(found[1])) if found else b"".join(self._chunks())

    def _take(self, count: int) -> bytes:
        while len(self.pending) < count:
            self._more()
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def _chunks(self):
        size = 1
        while size:
            while (end := self.pending.find(b"\r\n")) < 0:
                self._more()
            size = int(self._take(end + 2), 16)
            yield self._take(size + 2)[:-2]

    def ask(self, request: bytes, times: int = 1, batch: int = 1) -> None:
        """Sends `request` `times` times, `batch` of them at once, and reads every answer."""
        for _ in range(times // batch):
            self.socket.sendall(request * batch)
            for _ in range(batch):
                self.answer()
