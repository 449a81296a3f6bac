"""A forward proxy as a process of its own: `CONNECT`, and whole requests for http. Run by `egress_programs.py`.

It writes its port, and then one line of JSON for each request: method, target, and whether credentials came.
Names that end in `.brokers.test` are all on this machine: only the proxy knows that.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

_OURS = ".brokers.test"


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _read(file: Path) -> bytes:
    return file.read_bytes().strip()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _serve(file: Path | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
        return
    lines = head.split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    given = headers.get("proxy-authorization")
    _say(method=method, target=target, has_credentials=given is not None, broker_sees="authorization" in headers)
    wanted = f"Basic {base64.b64encode(_read(file)).decode()}" if file else None
    if wanted is not None and given != wanted:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        return
    place = urlsplit(target if "://" in target else f"//{target}")
    host = "127.0.0.1" if (place.hostname or "").endswith(_OURS) else place.hostname
    try:
        upstream_reader, upstream = await asyncio.open_connection(host, place.port or 80)
    except OSError:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        return
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        path = target.partition("://")[2].partition("/")[2]
        kept = [line for line in lines[1:] if not line.lower().startswith("proxy-")]
        upstream.write("\r\n".join([f"{method} /{path} HTTP/1.1", *kept]).encode())
    await asyncio.gather(_pipe(reader, upstream), _pipe(upstream_reader, writer))


async def main(file: Path | None) -> None:
    """Serve until ended."""
    server = await asyncio.start_server(lambda r, w: _serve(file, r, w), "127.0.0.1", 0)
    _say(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
