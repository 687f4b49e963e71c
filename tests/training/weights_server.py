"""A server of weights on loopback."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """Files by name; each answer may be cut after some bytes. Ranges are honoured as RFC 9110 says."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut_after: list[int] = []
        self.asked: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/weights"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.rpartition("/")[2]
        span = request.headers.get("Range")
        self.asked.append((name, span))
        content = self.files.get(name)
        if content is None:
            request.send_error(404)
            return
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        request.send_response(206 if span else 200)
        if span:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:16]}"')
        request.end_headers()
        part = content[start:]
        if self.cut_after:
            part = part[: self.cut_after.pop(0)]
            request.close_connection = True
        request.wfile.write(part)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
