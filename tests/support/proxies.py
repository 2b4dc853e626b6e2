"""nginx and HAProxy as child processes in front of a server. They inherit their listening socket, so that
they can be connected to at once and no port is lost to anybody else.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.children import FOREIGN_ENVIRONMENT
from support.live_http import PATIENCE

NGINX = """
daemon off;
worker_processes 1;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    upstream backend {{ server {upstream}; keepalive 16; }}
    # Answers to HTTP/1.0 do not say that the connection ends with them.
    upstream closing {{ server {upstream}; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto https;
    proxy_next_upstream off;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {scheme}://backend; }}
        location /direct/ {{
            proxy_pass {scheme}://backend;
            proxy_request_buffering off;
            proxy_buffering off;
        }}
        location /socket/ {{
            proxy_pass {scheme}://closing;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
            proxy_read_timeout 2s;
        }}
        location /old/ {{
            proxy_pass {scheme}://closing;
            proxy_http_version 1.0;
            proxy_set_header Connection close;
        }}
    }}
}}
"""

HAPROXY = """
global
    maxconn 512
defaults
    mode http
    timeout connect 20s
    timeout client 60s
    timeout server 60s
    timeout tunnel 2s
    option forwardfor
    option abortonclose
    http-reuse always
    retries 0
frontend front
    bind fd@{descriptor}
    default_backend back
backend back
    http-request set-header X-Forwarded-Proto https
    server only {upstream}{options}
"""


class Proxy:
    """A running proxy; `port` is where clients connect to."""

    def __init__(self, name: str, link: str, address: tuple[str, int] | str, folder: Path) -> None:
        program = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if not program:
            pytest.skip(f"{name} is not installed")
        upstream = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
        unix = isinstance(address, str)
        self.log = folder / f"{name}.log"
        config = folder / f"{name}.conf"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            descriptor = listener.fileno()
            environment = dict(FOREIGN_ENVIRONMENT)
            command: Sequence[str]
            if name == "nginx":
                user = f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"
                text = NGINX.format(
                    folder=folder,
                    user=user,
                    upstream=f"unix:{upstream}" if unix else upstream,
                    port=self.port,
                    scheme="https" if link == "tls" else "http",
                )
                command = [program, "-p", str(folder), "-e", str(self.log), "-c", str(config)]
                environment["NGINX"] = f"{descriptor};"
            else:
                text = HAPROXY.format(
                    descriptor=descriptor,
                    upstream=f"unix@{upstream}" if unix else upstream,
                    options=" ssl verify none" if link == "tls" else "",
                )
                command = [program, "-db", "-q", "-f", str(config)]
            config.write_text(text)
            if program := shutil.which("setpriv"):  # so that it does not outlive a test run that is killed
                command = [program, "--pdeathsig", "TERM", *command]
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    command,
                    pass_fds=[descriptor],
                    env=environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def stop(self) -> None:
        assert self.process.poll() is None, self.log.read_text()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def make_certificate(folder: Path) -> dict[str, str]:
    """A certificate for localhost that nobody has signed, as `ssl_options`."""
    program = shutil.which("openssl")
    if not program:
        pytest.skip("openssl is not installed")
    paths = {"certfile": str(folder / "test.crt"), "keyfile": str(folder / "test.key")}
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    command += ["-out", paths["certfile"], "-keyout", paths["keyfile"]]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return paths
