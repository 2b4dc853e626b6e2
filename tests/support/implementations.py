"""Ours and stock Tornado, as tests see them: one namespace of modules for each."""

#: Modules that replace one of Tornado's.
MODULES = (
    "http1connection",
    "httpserver",
    "httputil",
    "ioloop",
    "iostream",
    "log",
    "netutil",
    "options",
    "process",
    "routing",
)
MODULES += ("tcpclient", "tcpserver", "web")
