"""Texts that are read by rules of their own: YAML, selectors, protobuf."""

import base64
import json

import pytest

from tests.integration.gateway.api_client import TEAM, Api, Document, instance
from tests.security.hostile_bodies import within

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
NAMED = {"clusterServiceClassExternalName": "mysql", "clusterServicePlanExternalName": "small"}
ROOM = 250 * 1024
MANIFEST = json.dumps(instance(**NAMED, parameters={"p": "HERE"}))
YAML: dict[str, tuple[str, int]] = {
    "base 60": ("1" + ":1" * (ROOM // 2), 201),
    "base 60 with a fraction": ("1" + ":59" * (ROOM // 3) + ".5", 201),
    "a tag that asks for base 60": ("!!int 1" + ":1" * (ROOM // 2), 400),
    "another tag that does": ("!!float 1" + ":1" * (ROOM // 2), 400),
    "empty lists": (f"[{'[],' * (ROOM // 3)}]", 413),
    "a few empty lists": (f"[{'[],' * 9_000}]", 201),
    "numbers": (f"[{'1,' * (ROOM // 2)}]", 400),
    "digits": ("1" * ROOM, 400),
    "hexadecimal digits": ("0x" + "f" * ROOM, 400),
    "digits with an exponent": ("1" * ROOM + "e5", 400),
    "digits with blanks": ("1 " * (ROOM // 2), 201),
    "depth": ("[" * (ROOM // 2), 400),
    "keys": ("{" + ",".join(f"{number}: 1" for number in range(9_000)) + "}", 201),
    "nested merges": ("{<<: " * 100 + "{a: 1}" + "}" * 100, 201),
    "signs": ("-" * ROOM, 201),
    "dots": ("." * ROOM, 201),
    "binary": ("!!binary " + "QUJD" * (ROOM // 4), 400),
    "a set": ("!!set {" + ",".join(f"k{number}" for number in range(9_000)) + "}", 400),
    "pairs": ("!!pairs [" + ",".join(f"k{number}: 1" for number in range(3_000)) + "]", 201),
}


@pytest.mark.parametrize(("value", "status"), YAML.values(), ids=YAML)
async def test_a_yaml_body_holds_nothing_whatever_is_in_it(api: Api, value: str, status: int) -> None:
    body = MANIFEST.replace('"HERE"', value).encode()
    answer = await api.call("POST", INSTANCES, body, headers={"Content-Type": "application/yaml"})
    assert answer.status == status, answer.payload[:300]
    assert len(answer.message) < 300


NUMBERS: dict[str, object] = {
    "1:30": "1:30",
    "1_000": "1_000",
    "010": 10,
    "0o10": 8,
    "0x1F": 31,
    "-7": -7,
    "+7": 7,
    "1.": 1.0,
    ".5": 0.5,
    "1e3": 1000.0,
    "-1.5E-3": -0.0015,
    "190:20:30.15": "190:20:30.15",
    "0b11": "0b11",
    "1e": "1e",
    ".": ".",
    "2026-11-30": "2026-11-30",
    "123456789012345678901": 123456789012345678901,
}


@pytest.mark.parametrize(("text", "value"), NUMBERS.items(), ids=NUMBERS)
async def test_numbers_of_a_yaml_body_are_those_of_yaml_1_2(api: Api, text: str, value: object) -> None:
    document: Document = instance(**NAMED, parameters={"p": "HERE"})
    body = json.dumps(document).replace('"HERE"', f"{text} ").encode()
    answer = await api.call("POST", INSTANCES, body, headers={"Content-Type": "application/yaml"})
    assert answer.status == 201, answer.payload
    found = answer.document["spec"]["parameters"]["p"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan"])
async def test_a_yaml_number_that_is_none_is_refused(api: Api, text: str) -> None:
    body = MANIFEST.replace('"HERE"', f"{text} ").encode()
    answer = await api.call("POST", INSTANCES, body, headers={"Content-Type": "application/yaml"})
    assert (answer.status, "which JSON does not support" in answer.message) == (400, True)


SELECTORS = {
    "blanks": " " * 16_000,
    "blanks in a key": "metadata.name" + " " * 16_000 + "x",
    "commas": "," * 16_000,
    "backslashes": "\\" * 16_000,
    "equals signs": "=" * 16_000,
    "terms": ",".join(["metadata.name=a"] * 1_000),
    "exclamation marks": "a" + "!" * 16_000,
    "parentheses": "a in (" + "(" * 16_000,
}


@pytest.mark.parametrize("name", ["fieldSelector", "labelSelector"])
@pytest.mark.parametrize("text", SELECTORS.values(), ids=SELECTORS)
async def test_a_selector_is_read_in_linear_time(api: Api, name: str, text: str) -> None:
    answer = await api.get(INSTANCES, **{name: text})
    assert answer.status in (200, 400)
    assert len(answer.payload) < 2_000


@pytest.mark.parametrize("entries", [700_000, 1_500_000])
async def test_a_protobuf_body_of_the_largest_size_holds_nothing(api: Api, entries: int) -> None:
    # A Secret whose map of data is made of a million empty entries.
    secret = b"\x12\x00" * entries
    kind = b"\x0a\x02v1\x12\x06Secret"
    envelope = b"k8s\0" + b"\x0a" + bytes([len(kind)]) + kind + b"\x12" + _varint(len(secret)) + secret
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    answer = await api.call("POST", "/api/v1/namespaces/team/secrets", envelope, headers=headers)
    assert answer.status in (400, 413, 422), answer.payload[:300]


async def test_options_of_a_deletion_hold_nothing(api: Api) -> None:
    await api.made(INSTANCES, instance())
    body = within({"kind": "DeleteOptions", "dryRun": "HERE"}, "[" + "[]," * 500_000 + "[]]")
    answer = await api.delete(f"{INSTANCES}/db", body)
    assert answer.status == 413


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


MOMENTS = {
    "from the future": [2**62, 2**62, []],
    "with thousands under way": [1, 2**62, list(range(4_000))],
    "none": None,
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
async def test_a_continue_token_that_was_made_up_is_not_believed(api: Api, moment: object) -> None:
    payload = base64.urlsafe_b64encode(
        json.dumps(["servicecatalog.k8s.io/serviceinstances/team", "team", "db", moment]).encode()
    ).decode()
    for token in (payload, f"{payload}.", f"{payload}.{'A' * 22}=="):
        answer = await api.get(INSTANCES, **{"limit": "1", "continue": token})
        assert answer.status in (400, 410), answer.payload[:300]
