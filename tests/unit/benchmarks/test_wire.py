"""What is counted of the traffic to servers, however it is cut into pieces."""

import struct

import pytest

from tests.benchmarks.stands.wire import Traffic, _Amqp, _FromPostgres, _Reader, _ToPostgres


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack("!BHI", kind, 1, len(payload)) + payload + b"\xce"


SSL_REQUEST = struct.pack("!II", 8, 80877103)
STARTUP = struct.pack("!II", 16, 196608) + b"user\0me\0"
ASKED = b"".join(
    [
        SSL_REQUEST,
        STARTUP,
        message(b"Q", b"BEGIN;\0"),
        *(message(kind) for kind in (b"P", b"B", b"E", b"S")),
        *(message(kind) for kind in (b"B", b"E", b"B", b"E", b"S")),
        message(b"Q", b"COMMIT;\0"),
        message(b"Q", b"select 1\0"),
    ]
)
ANSWERED = b"".join(
    [
        message(b"C", b"BEGIN\0"),
        message(b"N", b"a notice"),
        message(b"C", b"INSERT 0 3\0"),
        message(b"C", b"UPDATE 2\0"),
        message(b"C", b"SELECT 50\0"),
        message(b"C", b"DELETE 1\0"),
    ]
)
PUBLISHED = b"".join(
    [
        b"AMQP\x00\x00\x09\x01",
        frame(1, struct.pack("!HH", 10, 11)),
        frame(1, struct.pack("!HH", 60, 40)),
        frame(2, b"\x00" * 20),
        frame(3, struct.pack("!HH", 60, 40)),
        frame(8, b""),
    ]
)
DELIVERED = frame(1, struct.pack("!HH", 10, 10)) + 2 * (frame(1, struct.pack("!HH", 60, 60)) + frame(3, b"body"))


@pytest.mark.parametrize("size", [1, 3, 7, 1_000])
@pytest.mark.parametrize(
    ("kind", "data", "counted"),
    [
        (_ToPostgres, ASKED, Traffic(statements=4, transactions=1, round_trips=5)),
        (_FromPostgres, ANSWERED, Traffic(rows_written=6)),
        (_Amqp, PUBLISHED, Traffic(published=1)),
        (_Amqp, DELIVERED, Traffic(delivered=2)),
    ],
)
def test_traffic_is_counted_however_it_arrives(size: int, kind: type[_Reader], data: bytes, counted: Traffic) -> None:
    seen = Traffic()
    reader = kind(seen)
    for start in range(0, len(data), size):
        reader.take(data[start : start + size])
    assert seen == counted


def test_refusal_of_tls_is_no_message() -> None:
    seen = Traffic()
    reader = _FromPostgres(seen)
    reader.take(b"N")
    reader.take(message(b"C", b"INSERT 0 1\0"))
    assert seen.rows_written == 1
