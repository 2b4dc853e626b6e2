"""The templates of a handler: where they are, what they may call, and what their UI modules add to a page."""

from __future__ import annotations

import asyncio
import os.path
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tornado_c import httputil
from tornado_c._support.optional import require_tornado
from tornado_c._web.urls import is_absolute
from tornado_c.escape import to_unicode, utf8, xhtml_escape

if TYPE_CHECKING:
    from tornado.template import BaseLoader

    from tornado_c._web.application import Application
    from tornado_c._web.ui_modules import UIModule


def _folder_of_caller() -> str:
    """The folder of the file that called into this one's."""
    frame = sys._getframe()
    own = folder = os.path.dirname(frame.f_code.co_filename)
    while folder == own and frame.f_back is not None:
        frame = frame.f_back
        folder = os.path.dirname(frame.f_code.co_filename)
    return folder


class TemplateMixin:
    """Generates responses from templates."""

    application: Application
    request: httputil.HTTPServerRequest

    #: By folder, for all handlers; RequestHandler's are the ones that count.
    _template_loaders: dict[str, BaseLoader] = {}
    _template_loader_lock = threading.Lock()

    _finished: bool
    _active_modules: dict[str, UIModule]
    _templates_are_fresh = False

    if TYPE_CHECKING:
        finish: Callable[..., asyncio.Future[None]]
        reverse_url: Callable[..., str]
        static_url: Callable[..., str]
        xsrf_form_html: Callable[..., str]
        ui: dict[str, Any]

        @property
        def current_user(self) -> Any: ...

        @property
        def locale(self) -> Any: ...

    def render(self, template_name: str, **kwargs: Any) -> asyncio.Future[None]:
        """Finish the response with a template.

        :param template_name: a path below that of the templates.
        :param kwargs: names that the template uses.
        :returns: the Future of :meth:`finish`.
        :raises RuntimeError: the response is finished.
        """
        if self._finished:
            raise RuntimeError("Cannot render() after finish()")
        page = self.render_string(template_name, **kwargs)
        modules = getattr(self, "_active_modules", None)
        if not modules:
            return self.finish(page)
        done = self.finish(self._add_resources(page, modules.values()))
        if self._finished:
            self._active_modules = {}  # each refers to this handler
        return done

    def _add_resources(self, page: bytes, modules: Iterable[UIModule]) -> bytes:
        """Put what the modules need into the page's head, and at the end of its body."""
        scripts: list[bytes] = []
        script_files: list[str] = []
        styles: list[bytes] = []
        style_files: list[str] = []
        heads: list[bytes] = []
        bodies: list[bytes] = []
        for module in modules:
            _add_text(scripts, module.embedded_javascript())
            _add_files(script_files, module.javascript_files())
            _add_text(styles, module.embedded_css())
            _add_files(style_files, module.css_files())
            _add_text(heads, module.html_head())
            _add_text(bodies, module.html_body())
        if script_files:
            page = _insert(page, page.rindex(b"</body>"), self.render_linked_js(script_files))
        if scripts:
            page = _insert(page, page.rindex(b"</body>"), self.render_embed_js(scripts))
        if style_files:
            page = _insert(page, page.index(b"</head>"), self.render_linked_css(style_files))
        if styles:
            page = _insert(page, page.index(b"</head>"), self.render_embed_css(styles))
        if heads:
            page = _insert(page, page.index(b"</head>"), b"".join(heads))
        if bodies:
            page = _insert(page, page.index(b"</body>"), b"".join(bodies))
        return page

    def _linked(self, files: Iterable[str]) -> list[str]:
        """The URLs of static files, each once, to stand in an attribute."""
        urls = [path if is_absolute(path) else self.static_url(path) for path in files]
        return [xhtml_escape(url) for url in dict.fromkeys(urls)]

    def render_linked_js(self, js_files: Iterable[str]) -> str:
        """Return the HTML that loads the scripts of the page's UI modules. May be overridden.

        :param js_files: URLs, or paths for :meth:`static_url`.
        """
        return "".join(
            f'<script src="{url}" type="text/javascript"></script>' for url in self._linked(js_files)
        )

    def render_embed_js(self, js_embed: Iterable[bytes]) -> bytes:
        """Return the HTML that holds the scripts of the page's UI modules. May be overridden."""
        return b'<script type="text/javascript">\n//<![CDATA[\n%b\n//]]>\n</script>' % b"\n".join(js_embed)

    def render_linked_css(self, css_files: Iterable[str]) -> str:
        """Return the HTML that loads the style sheets of the page's UI modules. May be overridden.

        :param css_files: URLs, or paths for :meth:`static_url`.
        """
        return "".join(
            f'<link href="{url}" type="text/css" rel="stylesheet"/>' for url in self._linked(css_files)
        )

    def render_embed_css(self, css_embed: Iterable[bytes]) -> bytes:
        """Return the HTML that holds the style sheets of the page's UI modules. May be overridden."""
        return b'<style type="text/css">\n%b\n</style>' % b"\n".join(css_embed)

    def render_string(self, template_name: str, **kwargs: Any) -> bytes:
        """Generate a template.

        :param template_name: a path below :meth:`get_template_path`, or without that, below the folder of the
            file that calls this.
        :param kwargs: names that the template uses, besides those of :meth:`get_template_namespace`.
        :raises ImportError: Tornado, whose templates these are, is not installed.
        """
        loader = self._template_loader(self.get_template_path() or _folder_of_caller())
        template = loader.load(template_name)
        namespace = self.get_template_namespace()
        namespace.update(kwargs)
        if type(template).__module__ == "tornado.template":
            namespace.setdefault("_tt_utf8", _utf8_at_last)
        return template.generate(**namespace)

    def _template_loader(self, path: str) -> BaseLoader:
        """The loader for a folder, made when it is first asked for."""
        from tornado_c._web.handler import RequestHandler

        with RequestHandler._template_loader_lock:
            loaders = RequestHandler._template_loaders
            if not self._templates_are_fresh and not self.application.settings.get(
                "compiled_template_cache", True
            ):
                self._templates_are_fresh = True
                for known in loaders.values():
                    known.reset()
            if path not in loaders:
                loaders[path] = self.create_template_loader(path)
            return loaders[path]

    def get_template_namespace(self) -> dict[str, Any]:
        """Return the names that every template may use. May be overridden."""
        names: dict[str, Any] = {
            "handler": self,
            "request": self.request,
            "current_user": self.current_user,
            "locale": self.locale,
            "_": self.locale.translate,
            "pgettext": self.locale.pgettext,
            "static_url": self.static_url,
            "xsrf_form_html": self.xsrf_form_html,
            "reverse_url": self.reverse_url,
        }
        names.update(self.ui)
        return names

    def create_template_loader(self, template_path: str) -> BaseLoader:
        """Return a new loader for the templates of a folder. May be overridden.

        The setting ``template_loader`` is returned in its place if it is there. Settings for the usual loader
        are ``autoescape`` (a function's name, or None) and ``template_whitespace``.
        """
        settings = self.application.settings
        if "template_loader" in settings:
            loader: BaseLoader = settings["template_loader"]
            return loader
        names = {"autoescape": "autoescape", "template_whitespace": "whitespace"}
        options = {option: settings[name] for name, option in names.items() if name in settings}
        made: BaseLoader = require_tornado("template rendering", "tornado.template").Loader(
            template_path, **options
        )
        return made

    def get_template_path(self) -> str | None:
        """Return the folder of the templates: the setting ``template_path``. May be overridden.

        None is for the folder of the file that renders the template.
        """
        path: str | None = self.application.settings.get("template_path")
        return path

    def _ui_module(self, name: str, module: type[UIModule]) -> Callable[..., str]:
        def render(*args: Any, **kwargs: Any) -> str:
            if not hasattr(self, "_active_modules"):
                self._active_modules = {}
            if name not in self._active_modules:
                self._active_modules[name] = module(self)  # type: ignore[arg-type]
            return to_unicode(self._active_modules[name].render(*args, **kwargs))

        return render

    def _ui_method(self, method: Callable[..., str]) -> Callable[..., str]:
        return lambda *args, **kwargs: method(self, *args, **kwargs)


def _utf8_at_last(value: str | bytes) -> bytes:
    """What the code of a template calls with each text, and at its end with an empty one.

    The names of a template and the function that its code is in refer to each other, which would keep the
    handler for the garbage collector.
    """
    if not value:
        sys._getframe(1).f_globals.pop("_tt_execute", None)
    return value.encode("utf-8") if isinstance(value, str) else utf8(value)


def _add_text(texts: list[bytes], text: str | bytes | None) -> None:
    if text:
        texts.append(utf8(text))


def _add_files(files: list[str], given: str | bytes | Iterable[str] | None) -> None:
    if isinstance(given, (str, bytes)):
        files += [to_unicode(given)] if given else []
    elif given:
        files += given


def _insert(page: bytes, at: int, html: str | bytes) -> bytes:
    return page[:at] + utf8(html) + b"\n" + page[at:]
