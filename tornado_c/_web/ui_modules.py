"""UI modules: parts of a page that templates call, with the scripts and styles they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tornado_c import escape
from tornado_c.util import ObjectDict

if TYPE_CHECKING:
    from tornado_c._web.handler import RequestHandler
    from tornado_c._web.templates import TemplateMixin


class UIModule:
    """A part of a page. Subclasses define ``render``.

    A template calls it as ``{% module Name(...) %}``; for each response there is one instance. What the other
    methods return is asked for when the page has been generated, and put into its head or at the end of its
    body.
    """

    def __init__(self, handler: RequestHandler) -> None:
        self.handler = handler
        self.request = handler.request
        self.ui: ObjectDict = handler.ui
        self.locale = handler.locale

    @property
    def current_user(self) -> Any:
        """The handler's."""
        return self.handler.current_user

    def render(self, *args: Any, **kwargs: Any) -> str | bytes:
        """Return the HTML that stands in place of the call. To be overridden."""
        raise NotImplementedError()

    def embedded_javascript(self) -> str | None:
        """Return a script's text, for the end of the body. May be overridden."""
        return None

    def javascript_files(self) -> Iterable[str] | None:
        """Return URLs of scripts, or paths for :meth:`RequestHandler.static_url`. May be overridden."""
        return None

    def embedded_css(self) -> str | None:
        """Return a style sheet's text, for the head. May be overridden."""
        return None

    def css_files(self) -> Iterable[str] | None:
        """Return URLs of style sheets, or paths for :meth:`RequestHandler.static_url`. May be overridden."""
        return None

    def html_head(self) -> str | None:
        """Return HTML for the end of the head. May be overridden."""
        return None

    def html_body(self) -> str | None:
        """Return HTML for the end of the body. May be overridden."""
        return None

    def render_string(self, path: str, **kwargs: Any) -> bytes:
        """Generate a template; see :meth:`RequestHandler.render_string`."""
        return self.handler.render_string(path, **kwargs)


class _linkify(UIModule):
    """Text in which URLs are links."""

    def render(self, text: str, **kwargs: Any) -> str:  # type: ignore[override]
        return escape.linkify(text, **kwargs)


class _xsrf_form_html(UIModule):
    """The field of a form that holds the token against cross-site requests."""

    def render(self) -> str:  # type: ignore[override]
        return self.handler.xsrf_form_html()


class TemplateModule(UIModule):
    """A template as a module: ``{% module Template("part.html", name=value) %}``.

    Unlike an included template it sees its own arguments only. It can call ``set_resources`` with the names
    of UIModule's methods as keywords, as in ``set_resources(css_files="part.css")``; they count once for each
    template, and have to be the same whenever it is used on a page.
    """

    def __init__(self, handler: RequestHandler) -> None:
        super().__init__(handler)
        self._resource_dict: dict[str, dict[str, Any]] = {}

    def render(self, path: str, **kwargs: Any) -> bytes:  # type: ignore[override]
        """Generate the template with these arguments."""

        def set_resources(**resources: Any) -> str:
            if self._resource_dict.setdefault(path, resources) != resources:
                raise ValueError("set_resources called with different resources for the same template")
            return ""

        return self.render_string(path, set_resources=set_resources, **kwargs)

    def _get_resources(self, name: str) -> Iterator[Any]:
        return (resources[name] for resources in self._resource_dict.values() if name in resources)

    def _files(self, name: str) -> list[str]:
        files: list[Any] = []
        for given in self._get_resources(name):
            files.extend([given] if isinstance(given, (str, bytes)) else given)
        return files

    def embedded_javascript(self) -> str:
        """The scripts of all templates."""
        return "\n".join(self._get_resources("embedded_javascript"))

    def javascript_files(self) -> Iterable[str]:
        """The files of all templates."""
        return self._files("javascript_files")

    def embedded_css(self) -> str:
        """The styles of all templates."""
        return "\n".join(self._get_resources("embedded_css"))

    def css_files(self) -> Iterable[str]:
        """The files of all templates."""
        return self._files("css_files")

    def html_head(self) -> str:
        """The HTML of all templates."""
        return "".join(self._get_resources("html_head"))

    def html_body(self) -> str:
        """The HTML of all templates."""
        return "".join(self._get_resources("html_body"))


class _UIModuleNamespace:
    """The UI modules of a handler, as items and as attributes."""

    def __init__(self, handler: TemplateMixin, ui_modules: dict[str, type[UIModule]]) -> None:
        self.handler = handler
        self.ui_modules = ui_modules

    def __getitem__(self, key: str) -> Callable[..., str]:
        return self.handler._ui_module(key, self.ui_modules[key])

    def __getattr__(self, key: str) -> Callable[..., str]:
        try:
            return self[key]
        except KeyError as e:
            raise AttributeError(str(e)) from e
