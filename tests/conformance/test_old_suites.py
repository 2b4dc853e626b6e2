"""The tests of Tornado 4.5.3 and 2.4.1 over generation 4: what they want is so, but for what stays with
Tornado 6. As they are, and after the changes that people make who move a program (old_changes.py)."""

from pathlib import Path

import old_changes
import old_suite
import pytest
import suite
import tornado_suite

pytestmark = pytest.mark.conformance

#: Modules that cannot be imported, and why.
LOST = {("4.5.3", "asyncio_test"): "its source has `async` for a name, which is a keyword by now"}

#: Tests that fail as they are, by why: what is not weakened or changed for the sake of old programs.
FAIL = {
    "4.5.3": {
        "A request in HTTP/1.1 has a Host (RFC 9112, 3.2).": """
            httpserver_test.HTTPConnectionTest.test_100_continue
            httpserver_test.HTTPServerRawTest.test_chunked_request_body
            httpserver_test.HTTPServerRawTest.test_chunked_request_uppercase
            httpserver_test.HTTPServerRawTest.test_invalid_content_length
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
        "A client verifies certificates unless it is told otherwise.": """
            simple_httpclient_test.SimpleHTTPSClientTestCase.test_ssl_options
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
        "Malformed bodies are errors, and so are those in a coding that the server does not decode.": """
            httpserver_test.GzipUnsupportedTest.test_gzip_unsupported
            httpserver_test.HTTPServerTest.test_malformed_body
            httputil_test.MultipartFormDataTest.test_content_disposition_header_without_name_parameter
            httputil_test.MultipartFormDataTest.test_invalid_content_disposition
            httputil_test.MultipartFormDataTest.test_line_does_not_end_with_correct_line_break
            httputil_test.MultipartFormDataTest.test_missing_headers
        """,
        "A request that is refused is answered with 400; the first has no Host, either.": """
            httpserver_test.BodyLimitsTest.test_body_size_override_reset
            httpserver_test.BodyLimitsTest.test_large_body_buffered
            httpserver_test.BodyLimitsTest.test_large_body_buffered_chunked
            httpserver_test.BodyLimitsTest.test_large_body_streaming
            httpserver_test.BodyLimitsTest.test_large_body_streaming_chunked
            httpserver_test.UnixSocketTest.test_unix_socket_bad_request
        """,
        "Log lines and the texts of errors are Tornado 6's, of a Future that nobody looks at asyncio's.": """
            concurrent_test.ReturnFutureTest.test_uncaught_exception_log
            httpserver_test.HTTPServerRawTest.test_malformed_headers
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
        "The same, in tcpclient._Connector, which is private and has Tornado 6's arguments besides.": """
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
        "An IOLoop that is made becomes the current one.": """
            ioloop_test.TestIOLoopCurrent.test_default_current
            ioloop_test.TestIOLoopCurrent.test_force_current
        """,
        "xhtml_escape is the standard library's: &#x27;.": """
            escape_test.EscapeTestCase.test_xhtml_escape
        """,
        "A reason is text, not bytes.": """
            web_test.StatusReasonTest.test_status
            wsgi_test.wrap_web_tests_adapter.<locals>.WSGIAdapterWrappedTest.test_status
            wsgi_test.wrap_web_tests_application.<locals>.WSGIApplicationWrappedTest.test_status
        """,
        "Only root may bind the port, and root may; so it is with 4.5.3.": """
            tcpclient_test.TCPClientTest.test_source_port_fail
        """,
    },
    "2.4.1": {
        "A request in HTTP/1.1 has a Host (RFC 9112, 3.2).": """
            httpserver_test.HTTPConnectionTest.test_100_continue
            wsgi_test.WSGIConnectionTest.test_100_continue
        """,
        "A TLS client verifies certificates unless it is told otherwise, as from Tornado 3 on.": """
            iostream_test.TestIOStreamSSL.test_close_buffered_data
            iostream_test.TestIOStreamSSL.test_close_callback_with_pending_read
            iostream_test.TestIOStreamSSL.test_delayed_close_callback
            iostream_test.TestIOStreamSSL.test_large_read_until
            iostream_test.TestIOStreamSSL.test_streaming_callback
            iostream_test.TestIOStreamSSL.test_streaming_until_close
            iostream_test.TestIOStreamSSL.test_write_zero_bytes
            iostream_test.TestIOStreamWebHTTPS.test_write_while_connecting
        """,
        "Changed by Tornado 4.5 (those over TLS do not verify, either).": """
            auth_test.AuthTest.test_oauth10_get_user
            auth_test.AuthTest.test_oauth10a_get_user
            httpserver_test.SSLv23Test.test_non_ssl_request
            httpserver_test.SSLv3Test.test_non_ssl_request
            httpserver_test.TLSv1Test.test_non_ssl_request
            httpserver_test.UnixSocketTest.test_unix_socket
            httputil_test.TestUrlConcat.test_url_concat_q_with_no_trailing_amp
            httputil_test.TestUrlConcat.test_url_concat_trailing_amp
            iostream_test.TestIOStream.test_read_until_close_after_close
            iostream_test.TestIOStream.test_streaming_read_until_close_after_close
            iostream_test.TestIOStreamSSL.test_read_until_close_after_close
            iostream_test.TestIOStreamSSL.test_streaming_read_until_close_after_close
            iostream_test.TestIOStreamWebHTTP.test_read_until_close
            iostream_test.TestIOStreamWebHTTP.test_read_zero_bytes
            iostream_test.TestIOStreamWebHTTPS.test_read_until_close
            iostream_test.TestIOStreamWebHTTPS.test_read_zero_bytes
            options_test.OptionsTest.test_parse_command_line
            simple_httpclient_test.SimpleHTTPClientTestCase.test_host_header
            simple_httpclient_test.SimpleHTTPClientTestCase.test_ipv6
            simple_httpclient_test.SimpleHTTPClientTestCase.test_no_content
            simple_httpclient_test.SimpleHTTPClientTestCase.test_request_timeout
            template_test.StackTraceTest.test_error_line_number_module
            web_test.AuthRedirectTest.test_absolute_auth_redirect
            web_test.CookieTest.test_cookie_special_char
            web_test.SecureCookieTest.test_cookie_tampering_future_timestamp
            web_test.StaticFileTest.test_absolute_static_url
            web_test.StaticFileTest.test_static_url
        """,
        "Heads are strict: no folded lines.": """
            httputil_test.HTTPHeadersTest.test_multi_line
        """,
        "Malformed bodies are errors.": """
            httputil_test.MultipartFormDataTest.test_content_disposition_header_without_name_parameter
            httputil_test.MultipartFormDataTest.test_invalid_content_disposition
            httputil_test.MultipartFormDataTest.test_line_does_not_end_with_correct_line_break
            httputil_test.MultipartFormDataTest.test_missing_headers
        """,
        "Changed by Tornado 4.5: a server does not send a list of lengths.": """
            simple_httpclient_test.SimpleHTTPClientTestCase.test_multiple_content_length_accepted
        """,
        "Changed by Tornado 4.5: simple_httpclient._HTTPConnection, which is private, is made otherwise.": """
            httpserver_test.HTTPConnectionTest.test_multipart_form
            wsgi_test.WSGIConnectionTest.test_multipart_form
        """,
        "Changed by Tornado 4.5: a stream that waits for nothing is not watched, and has no _state.": """
            iostream_test.TestIOStream.test_write_zero_bytes
        """,
        "Changed by Tornado 4.5: TwitterMixin speaks version 1.1 of Twitter's interface.": """
            auth_test.AuthTest.test_twitter_get_user
        """,
        "Changed by Tornado 4.5: JSON of bytes is an error.": """
            escape_test.EscapeTestCase.test_json_encode
        """,
    },
}

#: Why tests fail that the changes of a stage mend: after them all of these pass.
MENDED = {
    ("4.5.3", "guide"): (
        "A request in HTTP/1.1 has a Host (RFC 9112, 3.2).",
        "A client verifies certificates unless it is told otherwise.",
    ),
    ("2.4.1", "guide"): (
        "A request in HTTP/1.1 has a Host (RFC 9112, 3.2).",
        "A TLS client verifies certificates unless it is told otherwise, as from Tornado 3 on.",
    ),
    ("2.4.1", "earlier"): ("Changed by Tornado 4.5 (those over TLS do not verify, either).",),
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

#: The versions after the stages that are there for them.
STAGES = [("4.5.3", "none"), ("4.5.3", "guide"), ("2.4.1", "none"), ("2.4.1", "guide"), ("2.4.1", "earlier")]
EVERY = [(*stage, name) for stage in STAGES for name in old_suite.MODULES[stage[0]].split()]

#: How many tests pass at least, of the core's modules and of all, where nothing that is optional is missing:
#: less than do, since a few measure time, which is lost on a machine that is busy.
PASSED = {
    ("4.5.3", "none"): (920, 1245),  # 927 of 964, 1,255 of 1,317
    ("4.5.3", "guide"): (937, 1262),  # 944, 1,272
    ("2.4.1", "none"): (128, 211),  # 130 of 165, 213 of 261
    ("2.4.1", "guide"): (138, 221),  # 140, 223
    ("2.4.1", "earlier"): (159, 248),  # 161, 250
}


#: A few measure time: what fails counts if it does so each time.
AGAIN = 4


def expected(version: str, stage: str) -> set[str]:
    """The tests that fail after the changes of a stage."""
    names = old_changes.STAGES
    before = names[: names.index(stage) + 1]
    mended = {why for earlier in before for why in MENDED.get((version, earlier), ())}
    return {name for why, names in FAIL[version].items() if why not in mended for name in names.split()}


def name_of(test: str) -> str:
    """Of `test_x (tornado.test.web_test.Class.test_x)`, without the package."""
    return test.partition("(")[2].rstrip(")").removeprefix("tornado.test.")


def unexpected(ours: suite.Outcome, version: str, stage: str) -> dict[str, str]:
    assert ours.crash == ""
    bad = {name_of(test): ours.reasons.get(test, "") for test in ours.bad}
    return {name: why for name, why in bad.items() if name not in expected(version, stage)}


@pytest.fixture
def fetched(version):
    try:
        return old_suite.fetch(version)
    except old_suite.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("version, stage, module", EVERY)
def test_module(version, stage, module, fetched):
    if (version, module) in LOST:
        pytest.skip(LOST[version, module])
    bad = unexpected(old_suite.run(version, stage, module), version, stage)
    for _ in range(AGAIN):
        if bad:
            again = unexpected(old_suite.run.__wrapped__(version, stage, module), version, stage)
            bad = {name: why for name, why in bad.items() if name in again}
    assert bad == {}


@pytest.mark.parametrize("version, stage", STAGES)
def test_as_many_as_ever(version, stage, fetched):
    """The table of what fails has not become a way to lose tests."""
    passed = {
        name: old_suite.run(version, stage, name).passed
        for name in old_suite.MODULES[version].split()
        if (version, name) not in LOST
    }
    core, every = PASSED[version, stage]
    assert sum(passed[name] for name in old_suite.CORE if name in passed) >= core
    assert sum(passed.values()) >= every


@pytest.mark.parametrize("version", ["4.5.3", "2.4.1"])
def test_what_is_said_to_fail_does(version, fetched):
    bad = {
        name_of(test)
        for name in old_suite.MODULES[version].split()
        for test in old_suite.run(version, "none", name).bad
    }
    passing = expected(version, "none") - bad
    # Without pycurl its tests are skipped, and who is not root fails to bind the port.
    assert all("curl" in name or "source_port" in name for name in passing), passing


def test_every_change_is_in_the_guide():
    guide = Path(__file__).resolve().parents[2] / "docs" / "callbacks.rst"
    text = " ".join(guide.read_text().split())
    what, earlier = text.partition(" From 2.4 to 4.5 ---")[::2]
    what = what.partition(" What to change ---")[2]
    where = {"guide": what.partition(" What differs ---")[0], "earlier": earlier.partition(" Proof ---")[0]}
    for changes in old_changes.CHANGES.values():
        for change in changes:
            assert f"* - {change.rule}" in where[change.kind], change


def test_changes_of_the_guide_leave_assertions_alone(fetched_both, tmp_path):
    """They are in what a test does. Only Tornado's own changes are in what it expects."""
    for version, source in fetched_both.items():
        changed = old_changes.copy(source / "tornado" / "test", version, "guide", tmp_path / version)
        for change in old_changes.of_stage(version, "guide"):
            before = (source / "tornado" / "test" / f"{change.file}.py").read_text()
            after = (changed / f"{change.file}.py").read_text()
            assert before != after
            assert [line for line in before.splitlines() if ".assert" in line] == [
                line for line in after.splitlines() if ".assert" in line
            ]


@pytest.fixture
def fetched_both():
    try:
        return {version: old_suite.fetch(version) for version in old_changes.CHANGES}
    except old_suite.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("module", tornado_suite.available() or ["tornado.test"])
def test_todays_suite_under_generation_4(module, monkeypatch):
    """A program for Tornado 6 beside those for 4: what they say differs is all that differs."""
    if not tornado_suite.available():
        pytest.skip("tornado is not installed")
    if module == "api_test":
        pytest.skip("wants Python functions with readable source, where ours are C")
    listed = tuple(name for names in OF_TODAY.values() for name in names.split())

    def unlisted():
        with monkeypatch.context() as patch:
            patch.setenv("TORNADO_C_GENERATION", "4")
            ours = tornado_suite.run("tornado_c", module)
        assert ours.run and ours.crash == ""
        return {test for test in ours.bad if not name_of(test).startswith(listed)}

    bad = unlisted()
    for _ in range(AGAIN):
        if bad:
            bad &= unlisted()
    assert not bad or bad <= set(tornado_suite.run("tornado_c", module).bad)
