"""The templates of a handler, and what they may call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tornado_c._web.errors import not_yet
from tornado_c.escape import to_unicode

if TYPE_CHECKING:
    from tornado_c._web.application import Application


class TemplateMixin:
    """Generates responses from templates."""

    application: Application
    _template_loaders: dict[str, Any] = {}

    def render(self, template_name: str, **kwargs: Any) -> asyncio.Future[None]:
        """Not supported yet: finish the response with a template."""
        not_yet("render()", "generate the page with tornado.template and write() it")

    def render_string(self, template_name: str, **kwargs: Any) -> bytes:
        """Not supported yet: generate a template."""
        not_yet("render_string()", "generate the page with tornado.template")

    def get_template_path(self) -> str | None:
        """Return the folder of the templates: the setting ``template_path``."""
        path: str | None = self.application.settings.get("template_path")
        return path

    def _ui_module(self, name: str, module: type[Any]) -> Callable[..., str]:
        def render(*args: Any, **kwargs: Any) -> str:
            if not hasattr(self, "_active_modules"):
                self._active_modules: dict[str, Any] = {}
            if name not in self._active_modules:
                self._active_modules[name] = module(self)
            return to_unicode(self._active_modules[name].render(*args, **kwargs))

        return render

    def _ui_method(self, method: Callable[..., str]) -> Callable[..., str]:
        return lambda *args, **kwargs: method(self, *args, **kwargs)


class UIModules:
    """The UI modules of a handler, as items and as attributes."""

    def __init__(self, handler: TemplateMixin, ui_modules: dict[str, type[Any]]) -> None:
        self.handler = handler
        self.ui_modules = ui_modules

    def __getitem__(self, key: str) -> Callable[..., str]:
        return self.handler._ui_module(key, self.ui_modules[key])

    def __getattr__(self, key: str) -> Callable[..., str]:
        try:
            return self[key]
        except KeyError as e:
            raise AttributeError(str(e)) from e
