"""The tests of Tornado 4.5.3 and 2.4.1 over generation 4: what they want is so, but for what stays with
Tornado 6."""

import functools

import old_suite
import pytest
import suite
import tornado_suite

pytestmark = pytest.mark.conformance

#: Modules that cannot be imported, and why.
LOST = {("4.5.3", "asyncio_test"): "its source has `async` for a name, which is a keyword by now"}

#: Tests that fail, by why: what is not weakened or changed for the sake of old programs.
ACCEPTED = {
    "4.5.3": {
        "A request in HTTP/1.1 has a Host (RFC 9112, 3.2).": """
            httpserver_test.BodyLimitsTest.test_body_size_override_reset
            httpserver_test.HTTPConnectionTest.test_100_continue
            httpserver_test.HTTPServerRawTest.test_chunked_request_body
            httpserver_test.HTTPServerRawTest.test_chunked_request_uppercase
            httpserver_test.IdleTimeoutTest.test_idle_after_use
            httpserver_test.KeepAliveTest.test_cancel_during_download
            httpserver_test.KeepAliveTest.test_finish_while_closed
            httpserver_test.KeepAliveTest.test_pipelined_cancel
            httpserver_test.KeepAliveTest.test_pipelined_requests
            httpserver_test.KeepAliveTest.test_request_close
            httpserver_test.KeepAliveTest.test_two_requests
            web_test.StreamingRequestBodyTest.test_close_during_upload
            web_test.StreamingRequestBodyTest.test_early_return
            web_test.StreamingRequestBodyTest.test_early_return_with_data
            web_test.StreamingRequestBodyTest.test_streaming_body
            wsgi_test.WSGIConnectionTest.test_100_continue
        """,
        "Heads are strict: no folded lines, no bare CR, no control characters, no two lengths.": """
            curl_httpclient_test.CurlHTTPClientCommonTestCase.test_multi_line_headers
            httpclient_test.HTTPClientCommonTestCase.test_multi_line_headers
            httputil_test.HTTPHeadersTest.test_multi_line
            httputil_test.HTTPHeadersTest.test_optional_cr
            httputil_test.HTTPHeadersTest.test_unicode_newlines
            simple_httpclient_test.ChunkedWithContentLengthTest.test_chunked_with_content_length
            simple_httpclient_test.SimpleHTTPClientCommonTestCase.test_multi_line_headers
        """,
        "After a chunked request in HTTP/1.0 the connection ends (RFC 9112, 6.1).": """
            httpserver_test.KeepAliveTest.test_keepalive_chunked
        """,
        "Bodies in multipart/form-data that are malformed are errors.": """
            httputil_test.MultipartFormDataTest.test_content_disposition_header_without_name_parameter
            httputil_test.MultipartFormDataTest.test_invalid_content_disposition
            httputil_test.MultipartFormDataTest.test_line_does_not_end_with_correct_line_break
            httputil_test.MultipartFormDataTest.test_missing_headers
        """,
        "A request that is refused is answered with 400.": """
            httpserver_test.BodyLimitsTest.test_large_body_buffered
            httpserver_test.BodyLimitsTest.test_large_body_buffered_chunked
            httpserver_test.BodyLimitsTest.test_large_body_streaming
            httpserver_test.BodyLimitsTest.test_large_body_streaming_chunked
            httpserver_test.UnixSocketTest.test_unix_socket_bad_request
        """,
        "Log lines and the texts of errors are Tornado 6's.": """
            concurrent_test.ReturnFutureTest.test_uncaught_exception_log
            httpserver_test.GzipUnsupportedTest.test_gzip_unsupported
            httpserver_test.HTTPServerRawTest.test_invalid_content_length
            httpserver_test.HTTPServerRawTest.test_malformed_headers
            httpserver_test.HTTPServerTest.test_malformed_body
            simple_httpclient_test.SimpleHTTPClientTestCase.test_connect_timeout
            simple_httpclient_test.SimpleHTTPSClientTestCase.test_connect_timeout
        """,
        "Futures call their callbacks in a later turn.": """
            locks_test.ConditionTest.test_nested_notify
            locks_test.ConditionTest.test_notify_1
            locks_test.ConditionTest.test_notify_all
            locks_test.ConditionTest.test_notify_all_with_timeout
            locks_test.ConditionTest.test_notify_n
            locks_test.ConditionTest.test_notify_n_with_timeout
        """,
        "tcpclient._Connector is private, and its arguments are Tornado 6's.": """
            tcpclient_test.ConnectorTest.test_all_fail
            tcpclient_test.ConnectorTest.test_immediate_failure
            tcpclient_test.ConnectorTest.test_immediate_success
            tcpclient_test.ConnectorTest.test_one_family_second_try
            tcpclient_test.ConnectorTest.test_one_family_second_try_failure
            tcpclient_test.ConnectorTest.test_one_family_second_try_timeout
            tcpclient_test.ConnectorTest.test_success_after_timeout
            tcpclient_test.ConnectorTest.test_two_families_immediate_failure
            tcpclient_test.ConnectorTest.test_two_families_timeout
        """,
        "Only root may bind the port, and root may.": """
            tcpclient_test.TCPClientTest.test_source_port_fail
        """,
        "An IOLoop that is made becomes the current one.": """
            ioloop_test.TestIOLoopCurrent.test_default_current
            ioloop_test.TestIOLoopCurrent.test_force_current
        """,
        "PeriodicCallback calls in a coroutine, whose first step is a turn later on a loop of asyncio's.": """
            ioloop_test.TestPeriodicCallback.test_basic
        """,
        "A client verifies certificates unless it is told otherwise.": """
            simple_httpclient_test.SimpleHTTPSClientTestCase.test_ssl_options
        """,
        "xhtml_escape is the standard library's: &#x27;.": """
            escape_test.EscapeTestCase.test_xhtml_escape
        """,
        "Chunks of a body that come together are handed over together.": """
            httpserver_test.StreamingChunkSizeTest.test_chunked_body
            web_test.DecoratedStreamingRequestFlowControlTest.test_flow_control_chunked_body
            web_test.NativeStreamingRequestFlowControlTest.test_flow_control_chunked_body
        """,
        "A 304 has its Last-Modified (RFC 9110, 15.4.5).": """
            web_test.StaticFileTest.test_static_304_if_modified_since
            wsgi_test.wrap_web_tests_adapter.<locals>.WSGIAdapterWrappedTest.test_static_304_if_modified_since
            wsgi_test.wrap_web_tests_application.<locals>.WSGIApplicationWrappedTest.test_static_304_if_modified_since
        """,
        "A reason is text, not bytes.": """
            web_test.StatusReasonTest.test_status
            wsgi_test.wrap_web_tests_adapter.<locals>.WSGIAdapterWrappedTest.test_status
            wsgi_test.wrap_web_tests_application.<locals>.WSGIApplicationWrappedTest.test_status
        """,
    },
    "2.4.1": {
        "A request in HTTP/1.1 has a Host (RFC 9112, 3.2).": """
            httpserver_test.HTTPConnectionTest.test_100_continue
            wsgi_test.WSGIConnectionTest.test_100_continue
        """,
        "Heads are strict: no folded lines, no two lengths.": """
            httputil_test.HTTPHeadersTest.test_multi_line
            simple_httpclient_test.SimpleHTTPClientTestCase.test_multiple_content_length_accepted
        """,
        "Bodies in multipart/form-data that are malformed are errors.": """
            httputil_test.MultipartFormDataTest.test_content_disposition_header_without_name_parameter
            httputil_test.MultipartFormDataTest.test_invalid_content_disposition
            httputil_test.MultipartFormDataTest.test_line_does_not_end_with_correct_line_break
            httputil_test.MultipartFormDataTest.test_missing_headers
        """,
        "A client over TLS verifies the certificate, for which it has to know the host's name.": """
            iostream_test.TestIOStreamSSL.test_close_buffered_data
            iostream_test.TestIOStreamSSL.test_close_callback_with_pending_read
            iostream_test.TestIOStreamSSL.test_delayed_close_callback
            iostream_test.TestIOStreamSSL.test_large_read_until
            iostream_test.TestIOStreamSSL.test_read_until_close_after_close
            iostream_test.TestIOStreamSSL.test_streaming_callback
            iostream_test.TestIOStreamSSL.test_streaming_read_until_close_after_close
            iostream_test.TestIOStreamSSL.test_streaming_until_close
            iostream_test.TestIOStreamSSL.test_write_zero_bytes
            iostream_test.TestIOStreamWebHTTPS.test_read_until_close
            iostream_test.TestIOStreamWebHTTPS.test_read_zero_bytes
            iostream_test.TestIOStreamWebHTTPS.test_write_while_connecting
        """,
        "The status line says HTTP/1.1, as from Tornado 4 on.": """
            httpserver_test.UnixSocketTest.test_unix_socket
            iostream_test.TestIOStreamWebHTTP.test_read_until_close
            iostream_test.TestIOStreamWebHTTP.test_read_zero_bytes
        """,
        "A close callback waits until what was received is read, as from Tornado 3 on.": """
            iostream_test.TestIOStream.test_read_until_close_after_close
            iostream_test.TestIOStream.test_streaming_read_until_close_after_close
        """,
        "stream._state and simple_httpclient._HTTPConnection are private.": """
            httpserver_test.HTTPConnectionTest.test_multipart_form
            iostream_test.TestIOStream.test_write_zero_bytes
            wsgi_test.WSGIConnectionTest.test_multipart_form
        """,
        "Chunks of a body that come together are handed over together.": """
            httpclient_test.HTTPClientCommonTestCase.test_chunked
            simple_httpclient_test.SimpleHTTPClientCommonTestCase.test_chunked
        """,
        "Log lines and the texts of errors are Tornado 6's.": """
            simple_httpclient_test.SimpleHTTPClientTestCase.test_request_timeout
        """,
        "So from Tornado 3 or 4 on: services' addresses, keys as text, IPv6, queries, cookies, 204.": """
            auth_test.AuthTest.test_oauth10_get_user
            auth_test.AuthTest.test_oauth10a_get_user
            auth_test.AuthTest.test_twitter_get_user
            httputil_test.TestUrlConcat.test_url_concat_q_with_no_trailing_amp
            httputil_test.TestUrlConcat.test_url_concat_trailing_amp
            options_test.OptionsTest.test_parse_command_line
            simple_httpclient_test.SimpleHTTPClientTestCase.test_host_header
            simple_httpclient_test.SimpleHTTPClientTestCase.test_ipv6
            simple_httpclient_test.SimpleHTTPClientTestCase.test_no_content
            template_test.StackTraceTest.test_error_line_number_module
            web_test.AuthRedirectTest.test_absolute_auth_redirect
            web_test.CookieTest.test_cookie_special_char
            web_test.SecureCookieTest.test_cookie_tampering_future_timestamp
            web_test.StaticFileTest.test_absolute_static_url
            web_test.StaticFileTest.test_static_304
            web_test.StaticFileTest.test_static_url
        """,
        "The client of AsyncHTTPSTestCase does not verify certificates, as from Tornado 3 on.": """
            httpserver_test.SSLv23Test.test_non_ssl_request
            httpserver_test.SSLv3Test.test_non_ssl_request
            httpserver_test.TLSv1Test.test_non_ssl_request
        """,
        "JSON of bytes is an error, in Python 3.": """
            escape_test.EscapeTestCase.test_json_encode
        """,
    },
}

#: Tests of Tornado 6.6 that pass over ours, but not under generation 4: by why, by the start of their names.
OF_TODAY = {
    "fetch() of a test case returns a response with the code 599 for an error.": """
        curl_httpclient_test.CurlHTTPClientCommonTestCase.test_header_crlf
        curl_httpclient_test.CurlHTTPClientCommonTestCase.test_invalid_gzip
        curl_httpclient_test.CurlHTTPClientCommonTestCase.test_multi_line_headers
        curl_httpclient_test.CurlHTTPClientTestCase.test_streaming_callback_not_permitted
        httpclient_test.HTTPClientCommonTestCase.test_header_crlf
        httpclient_test.HTTPClientCommonTestCase.test_invalid_gzip
        httpclient_test.HTTPClientCommonTestCase.test_multi_line_headers
        httpserver_test.InvalidOutputContentLengthTest.test_invalid_output_content_length
        simple_httpclient_test.SimpleHTTPClientCommonTestCase.test_header_crlf
        simple_httpclient_test.SimpleHTTPClientCommonTestCase.test_invalid_gzip
        simple_httpclient_test.SimpleHTTPClientCommonTestCase.test_multi_line_headers
        simple_httpclient_test.SimpleHTTPClientTestCase.test_redirect_unsupported_scheme
        simple_httpclient_test.SimpleHTTPClientTestCase.test_streaming_callback_coroutine_cancelled
        simple_httpclient_test.SimpleHTTPSClientTestCase.test_redirect_unsupported_scheme
        simple_httpclient_test.SimpleHTTPSClientTestCase.test_streaming_callback_coroutine_cancelled
    """,
    "What a callback raises fails the test case.": """
        curl_httpclient_test.CurlHTTPClientCommonTestCase.test_streaming_callback_exception
        ioloop_test.TestIOLoop.test_exception_logging
        ioloop_test.TestIOLoop.test_spawn_callback
        simple_httpclient_test.SimpleHTTPClientTestCase.test_header_callback_error
        simple_httpclient_test.SimpleHTTPClientTestCase.test_streaming_callback_error
        simple_httpclient_test.SimpleHTTPSClientTestCase.test_header_callback_error
        simple_httpclient_test.SimpleHTTPSClientTestCase.test_streaming_callback_error
        tcpserver_test.TCPServerTest.test_handle_stream_coroutine_logging
    """,
    "Errors of clients show their code.": """
        simple_httpclient_test.ResolveTimeoutTestCase.test_resolve_timeout
        simple_httpclient_test.SimpleHTTPClientTestCase.test_connect_timeout
        simple_httpclient_test.SimpleHTTPClientTestCase.test_queue_timeout
        simple_httpclient_test.SimpleHTTPSClientTestCase.test_connect_timeout
        simple_httpclient_test.SimpleHTTPSClientTestCase.test_queue_timeout
        simple_httpclient_test.TLSHandshakeTimeoutTestCase.test_tls_handshake_timeout
    """,
    "Methods of auth return Futures.": """
        auth_test.AuthTest.test_oauth2_redirect
        auth_test.OpenIDAuthTest.test_openid_redirect
    """,
    "The versions of static files are MD5.": """
        web_test.StaticFileTest.test_absolute_static_url
        web_test.StaticFileTest.test_static_etag
        web_test.StaticFileTest.test_static_head
        web_test.StaticFileTest.test_static_range_if_none_match
        web_test.StaticFileTest.test_static_url
        web_test.StaticFileTest.test_static_with_range
        web_test.StaticFileVersionPathTest.test_cache_limit
        web_test.StaticFileVersionPathTest.test_max_size
        web_test.StaticFileVersionPathTest.test_regular_file
        web_test.StaticFileVersionPathTest.test_symlink_within_root
    """,
}

EVERY = [(version, name) for version, names in old_suite.MODULES.items() for name in names.split()]

#: How many tests pass at least, where nothing that is optional is missing.
PASSED = {"4.5.3": 1230, "2.4.1": 205}


@functools.cache
def outcome(version: str, module: str) -> suite.Outcome:
    return old_suite.run(version, module)


def accepted(version: str) -> set[str]:
    return {name for names in ACCEPTED[version].values() for name in names.split()}


def name_of(test: str) -> str:
    """Of `test_x (tornado.test.web_test.Class.test_x)`, without the package."""
    return test.partition("(")[2].rstrip(")").removeprefix("tornado.test.")


@pytest.fixture
def fetched(version):
    try:
        old_suite.fetch(version)
    except old_suite.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("version, module", EVERY)
def test_module(version, module, fetched):
    if (version, module) in LOST:
        pytest.skip(LOST[version, module])
    ours = outcome(version, module)
    assert ours.crash == ""
    bad = {name_of(test): ours.reasons.get(test) for test in ours.bad}
    assert {name: why for name, why in bad.items() if name not in accepted(version)} == {}


@pytest.mark.parametrize("version", ["4.5.3", "2.4.1"])
def test_as_many_as_ever(version, fetched):
    """The table of what is accepted has not become a way to lose tests."""
    wanted = [pair for pair in EVERY if pair[0] == version and pair not in LOST]
    assert sum(outcome(*pair).passed for pair in wanted) >= PASSED[version]


@pytest.mark.parametrize("module", tornado_suite.available() or ["tornado.test"])
def test_todays_suite_under_generation_4(module, monkeypatch):
    """A program for Tornado 6 beside those for 4: what they say differs is all that differs."""
    if not tornado_suite.available():
        pytest.skip("tornado is not installed")
    if module == "api_test":
        pytest.skip("wants Python functions with readable source, where ours are C")
    listed = tuple(name for names in OF_TODAY.values() for name in names.split())
    with monkeypatch.context() as patch:
        patch.setenv("TORNADO_C_GENERATION", "4")
        ours = tornado_suite.run("tornado_c", module)
    assert ours.run and ours.crash == ""
    bad = {test for test in ours.bad if not name_of(test).startswith(listed)}
    assert not bad or bad <= set(tornado_suite.run("tornado_c", module).bad)
