"""The installed Tornado's ``curl_httpclient``: an HTTP client over libcurl."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.curl_httpclient import *  # noqa: F403
else:
    from tornado_c._swap.stock import hand_out

    hand_out(__name__)
