"""Stores for tests: one in memory, a real S3 server on this machine, and a proxy that fails some requests."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen
from xml.etree import ElementTree as ET

MOTO = os.environ.get("LUMEN_MOTO_SERVER") or shutil.which("moto_server")
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "a-secret-word", "AWS_DEFAULT_REGION": "us-east-1"}


class MemoryFiles:
    """What lumen asks of a file system of fsspec, in memory.

    Attributes:
        objects: Contents by bucket and key.
        times: When each was written, in seconds; the clock goes on by one with each.
        requests: How often each method was called.
        faults: Raised by the next calls, the first first; None lets one through.
        conditions: Whether it looks at the condition that a key is free.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.times: dict[str, int] = {}
        self.requests = Counter[str]()
        self.faults: list[Exception | None] = []
        self.conditions = True
        self._clock = 1_700_000_000

    def info(self, key: str) -> dict[str, Any]:
        self._count("info")
        if key in self.objects:
            return self._entry(key)
        if any(each.startswith(f"{key}/") for each in self.objects):
            return {"name": key, "size": 0, "type": "directory"}
        raise FileNotFoundError(key)

    def ls(self, key: str, *, detail: bool) -> list[dict[str, Any]]:
        assert detail
        self._count("ls")
        inside = [each for each in self.objects if each.startswith(f"{key}/")]
        if not inside:
            raise FileNotFoundError(key)
        prefixes = {
            "/".join(each.split("/")[: key.count("/") + 2]) for each in inside if each.count("/") > key.count("/") + 1
        }
        entries = [self._entry(each) for each in inside if each.count("/") == key.count("/") + 1]
        return [*entries, *({"name": each, "size": 0, "type": "directory"} for each in prefixes)]

    def cat_file(self, key: str, **_: Any) -> bytes:
        self._count("cat_file")
        if key not in self.objects:
            raise FileNotFoundError(key)
        return self.objects[key]

    def get_file(self, key: str, path: str) -> None:
        Path(path).write_bytes(self.cat_file(key))

    def put_file(self, path: str, key: str, **options: Any) -> None:
        self.pipe_file(key, Path(path).read_bytes(), mode="overwrite", **options)

    def pipe_file(self, key: str, data: bytes, *, mode: str, **_: Any) -> None:
        self._count("pipe_file")
        if mode == "create" and self.conditions and key in self.objects:
            raise FileExistsError(key)
        self._clock += 1
        self.objects[key], self.times[key] = bytes(data), self._clock

    def rm_file(self, key: str) -> None:
        self._count("rm_file")
        if self.objects.pop(key, None) is None:
            raise FileNotFoundError(key)

    def _entry(self, key: str) -> dict[str, Any]:
        data = self.objects[key]
        written = datetime.fromtimestamp(self.times.setdefault(key, self._clock), UTC)
        return {"name": key, "size": len(data), "type": "file", "ETag": f'"{hash(data):x}"', "LastModified": written}

    def _count(self, method: str) -> None:
        self.requests[method] += 1
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Run an S3 server for the length of a `with` block, and yield its URL; its log goes to the folder."""
    assert MOTO is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen([MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urlopen(f"{url}/moto-api/", timeout=5):
            return
        time.sleep(0.1)
    raise AssertionError("the S3 server did not start")


@contextmanager
def faulty_proxy(server: str, every: int = 20) -> Iterator[tuple[str, Counter[str]]]:
    """Run a proxy before a server for the length of a `with` block; yield its URL and what it did, by name.

    One of `every` requests fails: in turn it is answered with 503, its connection is reset before the answer, or in the
    middle of it. A put that is reset has reached the server, as it happens in networks.
    """
    host = server.removeprefix("http://")
    proxy = _Proxy(("127.0.0.1", 0), _Forwarding)
    proxy.host, proxy.every = host, every
    with proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}", proxy.done
        finally:
            proxy.shutdown()
            thread.join()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    host = ""
    every = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.done = Counter[str]()
        self._guard = threading.Lock()

    def fault(self) -> str:
        """Return what becomes of the next request; empty if it passes."""
        with self._guard:
            self.done["requests"] += 1
            turn, rest = divmod(self.done["requests"], self.every)
            fault = ("unavailable", "reset", "cut")[turn % 3] if rest == 0 else ""
            self.done[fault or "passed"] += 1
            return fault

    def handle_error(self, *_: object) -> None:  # of connections that are reset
        pass


class _Forwarding(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()

    def forward(self) -> None:
        body, fault = self._body(), self.server.fault()
        if fault == "unavailable":
            self.send_response(503, "Slow Down")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        backend = http.client.HTTPConnection(self.server.host, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            backend.request(self.command, self.path, body, headers)
            answer = backend.getresponse()
            data = answer.read()
        finally:
            backend.close()
        if fault != "reset":
            self._answer(answer, data, cut=fault == "cut")
        if fault:
            self._reset()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815

    def _answer(self, answer: http.client.HTTPResponse, data: bytes, *, cut: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        del self.headers["Transfer-Encoding"]
        return b"".join(parts)

    def _reset(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Bucket:
    """A bucket of `s3_server`, asked with plain HTTP and nothing of lumen."""

    def __init__(self, server: str, name: str) -> None:
        self.url = f"s3://{name}"
        self._server, self._name = server, name
        self._ask("PUT", "", b"")

    def put(self, key: str, data: bytes) -> None:
        self._ask("PUT", key, data)

    def upload(self, folder: Path, prefix: str) -> None:
        """Put all files below a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Return the objects below a prefix, by their keys from there on, without those of lumen itself."""
        found, after = list[str](), ""
        while True:
            query = urlencode({"list-type": "2", "prefix": f"{prefix}/", "start-after": after})
            root = ET.fromstring(self._ask("GET", f"?{query}", is_query=True))
            keys = [node.text or "" for node in root.iter() if node.tag.endswith("}Key")]
            if not keys:
                break
            found += keys
            after = keys[-1]
        names = {key.removeprefix(f"{prefix}/"): key for key in found}
        return {name: self._ask("GET", key) for name, key in names.items() if not name.startswith(".lumen/")}

    def _ask(self, method: str, key: str, data: bytes | None = None, *, is_query: bool = False) -> bytes:
        path = key if is_query else quote(key)
        # The server asks who it is, and does not look at the signature.
        whom = f"Credential={KEYS['AWS_ACCESS_KEY_ID']}/20260101/us-east-1/s3/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 {whom}, SignedHeaders=host, Signature=none"}
        headers |= {} if data is None else {"Content-Type": "application/octet-stream"}
        request = Request(f"{self._server}/{self._name}/{path}".rstrip("/"), data, headers, method=method)
        with urlopen(request, timeout=60) as answer:
            content: bytes = answer.read()
        return content
