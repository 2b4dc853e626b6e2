"""The installed Tornado's ``testing``: test cases with a loop and a server each. Under the swap only."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tornado import testing
    from tornado.httpclient import AsyncHTTPClient, HTTPResponse
    from tornado.testing import AsyncTestCase as AsyncTestCase
    from tornado.testing import ExpectLog as ExpectLog
    from tornado.testing import bind_unused_port as bind_unused_port
    from tornado.testing import gen_test as gen_test
    from tornado.testing import get_async_test_timeout as get_async_test_timeout
    from tornado.testing import main as main
    from tornado.testing import setup_with_context_manager as setup_with_context_manager

    from tornado_c.httpserver import HTTPServer

    # As Tornado's, with applications and servers of ours.
    class AsyncHTTPTestCase(testing.AsyncTestCase):
        http_client: AsyncHTTPClient
        http_server: HTTPServer

        def get_app(self) -> Any: ...
        def get_http_client(self) -> AsyncHTTPClient: ...
        def get_http_server(self) -> HTTPServer: ...
        def get_http_port(self) -> int: ...
        def get_httpserver_options(self) -> dict[str, Any]: ...
        def get_protocol(self) -> str: ...
        def get_url(self, path: str) -> str: ...
        def fetch(self, path: str, raise_error: bool = False, **kwargs: Any) -> HTTPResponse: ...

    class AsyncHTTPSTestCase(AsyncHTTPTestCase):
        def get_ssl_options(self) -> dict[str, Any]: ...
        @staticmethod
        def default_ssl_options() -> dict[str, Any]: ...
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__, only_swapped=True)
