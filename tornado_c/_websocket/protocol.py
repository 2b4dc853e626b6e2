"""The protocol classes: the interface, and RFC 6455 over the C base, which does all after the handshake."""

from __future__ import annotations

import abc
import asyncio
import logging
import sys
from collections.abc import Callable
from concurrent import futures
from typing import TYPE_CHECKING, Any

from tornado_c import _core, escape, httputil
from tornado_c._http.headers import peek_headers
from tornado_c._websocket import extensions, handshake
from tornado_c._websocket import params as _params
from tornado_c._websocket.errors import WebSocketClosedError, _DecompressTooLargeError
from tornado_c._websocket.extensions import _PerMessageDeflateCompressor, _PerMessageDeflateDecompressor
from tornado_c._websocket.params import SharedParams, _WebSocketDelegate, _WebSocketParams
from tornado_c._websocket.task import start_task
from tornado_c.concurrent import future_add_done_callback, future_set_result_unless_cancelled
from tornado_c.ioloop import IOLoop, _convert_awaitable
from tornado_c.iostream import StreamClosedError
from tornado_c.log import gen_log

if TYPE_CHECKING:
    from tornado_c._websocket.handler import WebSocketHandler
    from tornado_c.iostream import IOStream


class WebSocketProtocol(abc.ABC):
    """What a handler or a client expects of the other side of its stream.

    :param handler: the owner, a handler or a client.

    Attributes: ``handler``; ``stream``, an ``IOStream``, None before the handshake is done;
    ``client_terminated`` and ``server_terminated``, whether the peer and we have ended the connection.
    """

    handler: _WebSocketDelegate
    stream: IOStream
    client_terminated: bool
    server_terminated: bool

    def __init__(self, handler: _WebSocketDelegate) -> None:
        self.handler = handler
        self.stream = None  # type: ignore[assignment]
        self.client_terminated = False
        self.server_terminated = False

    def _run_callback(
        self, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> asyncio.Future[Any] | None:
        """Call a function of the application. What it raises is logged, and ends the connection.

        :returns: a Future that is done, without an exception, when what the function returned is; None if it
            returned None or raised.
        """
        try:
            awaitable = callback(*args, **kwargs)
        except (Exception, asyncio.CancelledError):
            self._callback_failed()
            return None
        if awaitable is None:
            return None
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def finish(future: asyncio.Future[Any]) -> None:
            try:
                future.result()
            except (Exception, asyncio.CancelledError):
                self._callback_failed()
            future_set_result_unless_cancelled(done, None)

        future_add_done_callback(_convert_awaitable(awaitable), finish)
        return done

    def _callback_failed(self) -> None:
        self.handler.log_exception(*sys.exc_info())
        self._abort()

    def on_connection_close(self) -> None:
        """Called when the stream is gone."""
        self._abort()

    def _abort(self) -> None:
        """End the connection at once, without a word to the peer."""
        self.client_terminated = True
        self.server_terminated = True
        if self.stream is not None:
            self.stream.close()
        self.close()

    @abc.abstractmethod
    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """End the connection, and tell the peer why."""
        raise NotImplementedError()

    @abc.abstractmethod
    def is_closing(self) -> bool:
        """Whether either side has begun to end the connection."""
        raise NotImplementedError()

    @abc.abstractmethod
    async def accept_connection(self, handler: WebSocketHandler) -> None:
        """Answer a server's handshake."""
        raise NotImplementedError()

    @abc.abstractmethod
    def write_message(
        self, message: str | bytes | dict[str, Any], binary: bool = False
    ) -> asyncio.Future[None]:
        """Send a message."""
        raise NotImplementedError()

    @property
    @abc.abstractmethod
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        raise NotImplementedError()

    @abc.abstractmethod
    def write_ping(self, data: bytes) -> None:
        """Send a ping."""
        raise NotImplementedError()

    @abc.abstractmethod
    def _process_server_headers(self, key: str | bytes, headers: httputil.HTTPHeaders) -> None:
        raise NotImplementedError()

    @abc.abstractmethod
    def start_pinging(self) -> None:
        """Begin to send a ping from time to time, if that is wanted."""
        raise NotImplementedError()

    @abc.abstractmethod
    async def _receive_frame_loop(self) -> None:
        raise NotImplementedError()

    @abc.abstractmethod
    def set_nodelay(self, x: bool) -> None:
        """Set TCP_NODELAY."""
        raise NotImplementedError()


class WebSocketProtocol13(_core.WebSocketProtocolBase, WebSocketProtocol):  # type: ignore[misc]
    """Version 13 of the protocol, the one that is in use (RFC 6455).

    :param handler: the owner, a handler or a client.
    :param mask_outgoing: whether what is sent is masked, as a client's must be.
    :param params: a ``_WebSocketParams``.
    """

    FIN = 0x80
    RSV1 = 0x40
    RSV2 = 0x20
    RSV3 = 0x10
    RSV_MASK = RSV1 | RSV2 | RSV3
    OPCODE_MASK = 0x0F

    stream: IOStream
    _params: _WebSocketParams  # to be read

    # Connections that keep to these have no dict of their own.
    #: The Task of a replaced :meth:`periodic_ping`.
    _ping_coroutine: asyncio.Task[None] | None = None
    _selected_subprotocol: str | None = None

    def __init__(self, handler: _WebSocketDelegate, mask_outgoing: bool, params: _WebSocketParams) -> None:
        WebSocketProtocol.__init__(self, handler)
        self.mask_outgoing = mask_outgoing
        self.params = params

    @property
    def params(self) -> _WebSocketParams:
        """The settings of this connection."""
        if type(self._params) is SharedParams:
            self._params = self._params.copy()
        return self._params

    @params.setter
    def params(self, params: _WebSocketParams) -> None:
        self._params = params

    @property
    def _compression_options(self) -> dict[str, Any] | None:
        options: dict[str, Any] | None = self._params.compression_options
        return options

    @_compression_options.setter
    def _compression_options(self, value: dict[str, Any] | None) -> None:
        self.params.compression_options = value

    @property
    def selected_subprotocol(self) -> str | None:
        """The subprotocol that was agreed on, None for none."""
        return self._selected_subprotocol

    @selected_subprotocol.setter
    def selected_subprotocol(self, value: str | None) -> None:
        if value != self._selected_subprotocol:
            self._selected_subprotocol = value

    # ---- a server's handshake ----

    async def accept_connection(self, handler: WebSocketHandler) -> None:
        """Answer a request that asks for WebSocket; a malformed one gets a 400."""
        try:
            self._handle_websocket_headers(handler)
        except ValueError:
            handshake.refuse(handler, 400, "Missing/Invalid WebSocket headers")
            return
        try:
            await self._accept_connection(handler)
        except asyncio.CancelledError:
            self._drop()
        except ValueError:
            if self.stream is None:
                raise  # the client is still to be answered
            gen_log.debug("Malformed WebSocket request received", exc_info=True)
            self._drop()

    def _drop(self) -> None:
        self._abort()
        if self.stream is not None:
            self._start()  # which notifies the handler

    def _handle_websocket_headers(self, handler: WebSocketHandler) -> None:
        handshake.check_request(handler.request)

    @staticmethod
    def compute_accept_value(key: str | bytes) -> str:
        """Return the Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
        return handshake.accept_value(key)

    def _challenge_response(self, handler: WebSocketHandler) -> str:
        key = peek_headers(handler.request)["Sec-WebSocket-Key"]
        return WebSocketProtocol13.compute_accept_value(key)

    async def _accept_connection(self, handler: WebSocketHandler) -> None:
        """Send the 101, take the stream over and open the handler.

        Returns when the handler is open, so that nothing is kept for a connection that waits. Where code of
        the application waits for it, that is when the connection has ended, as with Tornado.
        """
        self._select_subprotocol(handler)
        self._agree_on_extensions(handler)
        if not self._switch_protocols(handler):
            return
        self._watch()
        self.start_pinging()
        try:
            opening = handler.open(*handler.open_args, **handler.open_kwargs)
            if opening is not None:
                await opening
        except Exception:
            self._callback_failed()
        if self._is_awaited(handler):
            await self._receive_frame_loop()
        else:
            handler._pack_handshake()
            self._serve()

    def _select_subprotocol(self, handler: WebSocketHandler) -> None:
        offered = handshake.offered_subprotocols(handler.request)
        self.selected_subprotocol = handler.select_subprotocol(offered)
        selected = self.selected_subprotocol
        if selected:
            assert selected in offered
            handler.set_header("Sec-WebSocket-Protocol", selected)

    def _agree_on_extensions(self, handler: WebSocketHandler) -> None:
        options = self._compression_options
        if options is None:
            return
        for name, offer in self._parse_extensions_header(peek_headers(handler.request)):
            agreed = extensions.accept_offer(offer) if name == extensions.DEFLATE else None
            if agreed is not None:
                self._create_compressors("server", agreed, options)
                answer = httputil._encode_header(name, agreed)
                handler.set_header("Sec-WebSocket-Extensions", answer)
                return

    def _switch_protocols(self, handler: WebSocketHandler) -> bool:
        """Send the 101 and take the stream over. False: the client has left."""
        if not handshake.is_gone(handler):
            handler.clear_header("Content-Type")
            handler.set_status(101)
            handler.set_header("Upgrade", "websocket")
            handler.set_header("Connection", "Upgrade")
            handler.set_header("Sec-WebSocket-Accept", self._challenge_response(handler))
            handler.finish()
            if not handshake.is_gone(handler):
                self.stream = handler._detach_stream()
                return True
        handler._auto_finish = False
        handler.on_connection_close()
        return False

    def _is_awaited(self, handler: WebSocketHandler) -> bool:
        """Whether the handler's Task stays until the end: code of the application awaits that there, or has
        cancelled the Task, which will be noticed where it waits.
        """
        from tornado_c._websocket.handler import code_awaits_end

        task = asyncio.current_task()
        return (
            code_awaits_end(handler)
            or bool(task is not None and task.cancelling())
            or not self._keeps("accept_connection", "_accept_connection", "_receive_frame_loop")
        )

    def _keeps(self, *names: str) -> bool:
        """Whether nobody has replaced these methods, in a class or on the instance."""
        return all(_function(getattr(self, name)) is _own_functions[name] for name in names)

    async def _receive_frame_loop(self) -> None:
        """Receive until the connection has ended."""
        self._start()
        try:
            await self._wait_closed()
        except asyncio.CancelledError:
            self._notify_cancelled()
            raise

    # ---- a client's handshake ----

    def _process_server_headers(self, key: str | bytes, headers: httputil.HTTPHeaders) -> None:
        """Check the head of a 101.

        :param key: the Sec-WebSocket-Key of the request.
        :raises ValueError: it does not answer our request.
        """
        handshake.check_response(headers, key)
        deflate = False
        for name, answer in self._parse_extensions_header(headers):
            if name != extensions.DEFLATE or self._compression_options is None or deflate:
                raise ValueError(f"unsupported extension {name!r}")
            extensions.check_answer(answer)
            self._create_compressors("client", answer, self._compression_options)
            deflate = True
        self.selected_subprotocol = headers.get("Sec-WebSocket-Protocol", None)

    # ---- extensions ----

    def _parse_extensions_header(
        self, headers: httputil.HTTPHeaders
    ) -> list[tuple[str, extensions.Parameters]]:
        text = headers.get("Sec-WebSocket-Extensions", "")
        return extensions.parse_extensions(text) if text else []

    def _get_compressor_options(
        self, side: str, agreed_parameters: dict[str, Any], compression_options: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the arguments with which one side's compressor, or decompressor, is made."""
        bits = agreed_parameters.get(f"{side}_max_window_bits")
        return {
            "persistent": f"{side}_no_context_takeover" not in agreed_parameters,
            "max_wbits": None if bits is None else int(bits),
            "compression_options": compression_options,
        }

    def _create_compressors(
        self, side: str, agreed_parameters: dict[str, Any], compression_options: dict[str, Any] | None = None
    ) -> None:
        """Make the machines for what was agreed on.

        :param side: ours, ``"server"`` or ``"client"``.
        :raises ValueError: there is a parameter that is unknown.
        """
        extensions.check_answer(agreed_parameters)
        other = "client" if side == "server" else "server"
        options = self._get_compressor_options
        self._compressor = _PerMessageDeflateCompressor(
            **options(side, agreed_parameters, compression_options)
        )
        self._decompressor = _PerMessageDeflateDecompressor(
            max_message_size=self._params.max_message_size,
            **options(other, agreed_parameters, compression_options),
        )

    # ---- pings ----

    @property
    def ping_interval(self) -> float:
        """Seconds between pings; 0 for none."""
        return self._params.ping_interval or 0

    @property
    def ping_timeout(self) -> float:
        """Seconds in which a ping must be answered; 0 for no limit. At most the interval."""
        interval, timeout = self.ping_interval, self._params.ping_timeout
        if timeout is None:
            return interval
        if interval and timeout > interval:
            _params.de_dupe_gen_log(
                logging.WARNING,
                f"The websocket_ping_timeout ({timeout}) cannot be longer"
                f" than the websocket_ping_interval ({interval})."
                f"\nSetting websocket_ping_timeout={interval}",
            )
            return interval
        return timeout

    def start_pinging(self) -> None:
        """Begin to send pings, if ``ping_interval`` is above 0. Does nothing the second time."""
        if self._keeps("periodic_ping", "ping_sleep_time"):
            super().start_pinging()
        elif self._ping_coroutine is None and self.ping_interval > 0:
            self._ping_coroutine = asyncio.create_task(self.periodic_ping())

    @staticmethod
    def ping_sleep_time(*, last_ping_time: float, interval: float, now: float) -> float:
        """Return the seconds until the next ping is due."""
        return max(0, last_ping_time + interval - now)

    async def periodic_ping(self) -> None:
        """Send pings, and close the connection when one is not answered in time.

        Runs only where it is called by name, or :meth:`ping_sleep_time` is replaced: pings need no Task. One
        that replaces it is run instead of them.
        """
        interval, timeout = self.ping_interval, self.ping_timeout
        clock = IOLoop.current().time
        await asyncio.sleep(interval)
        while True:
            self._received_pong = False
            sent = clock()
            self.write_ping(b"")
            await asyncio.sleep(timeout)
            if timeout > 0 and not self._received_pong:
                self.close(reason="ping timed out")
                return
            await asyncio.sleep(self.ping_sleep_time(last_ping_time=sent, interval=interval, now=clock()))


def _function(method: Any) -> Any:
    return getattr(method, "__func__", method)


_own_functions = {
    name: _function(vars(WebSocketProtocol13)[name])
    for name in (
        "_accept_connection",
        "_receive_frame_loop",
        "accept_connection",
        "periodic_ping",
        "ping_sleep_time",
    )
}


def _convert_yielded(value: Any) -> asyncio.Future[Any]:
    """The Future of what a callback has returned, whatever ``gen`` can yield."""
    future: asyncio.Future[Any] | futures.Future[Any]
    if value is None:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future
    future = _convert_awaitable(value)
    return asyncio.wrap_future(future) if isinstance(future, futures.Future) else future


def _message_bytes(message: Any) -> bytes:
    """The payload of a message that is neither str nor bytes."""
    if isinstance(message, dict):
        message = escape.json_encode(message)
    elif isinstance(message, (bytearray, memoryview)):
        message = bytes(message)
    payload: bytes = escape.utf8(message)
    assert isinstance(payload, bytes)
    return payload


async def _notify_closed(handler: _WebSocketDelegate, code: int | None, reason: str | None) -> None:
    """What is run in a Task when a connection has ended: with Tornado there is one, too."""
    handler.on_ws_connection_close(code, reason)


def _message_written(written: Any) -> asyncio.Future[None]:
    """What write_message() returns where an overriding _write_frame() has returned this."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(future: asyncio.Future[Any]) -> None:
        if done.cancelled():
            return
        if future.cancelled():
            done.cancel()
            return
        exception = future.exception()
        if exception is None:
            done.set_result(None)
            return
        if isinstance(exception, StreamClosedError):
            exception = WebSocketClosedError()
        done.set_exception(exception)
        done.exception()  # nobody need look at it

    future_add_done_callback(_convert_yielded(written), finish)
    return done


def _write_message(connection: Any, message: Any, binary: Any) -> Any:
    """What a handler's write_message() does with a connection that C does not know."""
    if connection is None or connection.is_closing():
        raise WebSocketClosedError()
    if isinstance(message, dict):
        message = escape.json_encode(message)
    return connection.write_message(message, binary=binary)


_core.register(
    "websocket",
    faces={
        "DecompressTooLargeError": _DecompressTooLargeError,
        "PerMessageDeflateCompressor": _PerMessageDeflateCompressor,
        "WebSocketClosedError": WebSocketClosedError,
    },
    upcalls={
        "convert_yielded": _convert_yielded,
        "message_bytes": _message_bytes,
        "message_written": _message_written,
        "notify_closed": _notify_closed,
        "start_task": start_task,
        "write_message": _write_message,
    },
)
