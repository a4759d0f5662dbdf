"""A network in front of a board that a test can cut, to the byte."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

__all__ = ["CutConnection"]

#: Closing with this option resets the connection, as a router that forgot it does.
_RESET = struct.pack("ii", 1, 0)


class CutConnection:
    """Passes connections on to a port, from entering the context to leaving it.

    Args:
        port: the board's, on the loopback address.
        after_bytes: when this many bytes went to the board, over all connections, every one is
            cut, and further ones are refused, until :meth:`mend`; None never cuts.
        silent: what is cut stays open, and nothing arrives any more, as with a cable unplugged.

    Attributes:
        port: the one to connect to instead.
        sent_bytes: what went to the board so far.
        is_cut: whether that was too much.
    """

    def __init__(self, port: int, after_bytes: int | None = None, *, silent: bool = False) -> None:
        self._board_port = port
        self._after_bytes = after_bytes
        self._silent = silent
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.sent_bytes = 0
        self.is_cut = False

    def __enter__(self) -> CutConnection:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        # Wakes the thread that waits for a connection; closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset_all()

    def cut(self) -> None:
        """Cut now."""
        self.is_cut = True
        if not self._silent:
            self._reset_all()

    def mend(self) -> None:
        """Let new connections through, for good."""
        self._reset_all()
        self._after_bytes = None
        self.is_cut = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_cut:
                if self._silent:
                    self._open.append(client)
                else:
                    _reset(client)
                continue
            try:
                board = socket.create_connection(("127.0.0.1", self._board_port))
            except OSError:
                _reset(client)
                continue
            self._open += [client, board]
            threading.Thread(target=self._pass, args=(client, board, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(board, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, to_board: bool) -> None:
        with contextlib.suppress(OSError):
            while received := source.recv(4096):
                allowed = self._count(received) if to_board else received
                if self.is_cut and self._silent:
                    continue
                sink.sendall(allowed)
                if len(allowed) < len(received):
                    return self.cut()
            sink.shutdown(socket.SHUT_WR)
        return None

    def _count(self, received: bytes) -> bytes:
        """What of these bytes may still go to the board."""
        with self._lock:
            if self._after_bytes is not None:
                received = received[: max(0, self._after_bytes - self.sent_bytes)]
            self.sent_bytes += len(received)
        return received

    def _reset_all(self) -> None:
        for connection in self._open:
            _reset(connection)
        self._open.clear()


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
