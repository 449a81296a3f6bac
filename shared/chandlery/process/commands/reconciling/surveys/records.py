"""Reads what an operator hands over of the time that was lost: who had which ids at which service broker.

Comes in: files, in any of these forms, one after the other in the order of time:
- log lines of workers in JSON (`event.action` is `call_broker`), as they were or wrapped by a collector of logs;
- audit events (`audit.k8s.io`) in JSON lines, as CHANDLERY_AUDIT_FILE has them;
- instances and bindings as `kubectl get serviceinstances,servicebindings -A -o yaml` (or json) prints them;
- lines of `chandlery reconcile brokers -o json`, which may be written by hand from a broker's own list.
Goes out: `Record`. Nothing is believed of a line but ids and names.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from chandlery.model.faults import ConfigurationFault
from chandlery.model.json.json_text import NotJson, read_json
from chandlery.model.objects import kinds
from chandlery.model.objects.wire import JsonObject
from chandlery.process.commands.imports.import_entries import Place
from chandlery.process.commands.imports.sources.dump_reading import read_dumps
from chandlery.process.commands.reconciling.surveys.external_things import BROKER, Thing, ThingKey
from chandlery.process.logs.ecs_fields import NAMES
from chandlery.reconcile.answers import Verb, Verdict

_ADDS: Final = frozenset({Verb.PROVISION, Verb.UPDATE, Verb.BIND})
_REMOVES: Final = frozenset({Verb.DEPROVISION, Verb.UNBIND})
_POLLS: Final = frozenset({Verb.POLL_INSTANCE, Verb.POLL_BINDING})
_NOTHING_DONE: Final = frozenset({Verdict.REJECTED, Verdict.UNREACHABLE})
_OVER: Final = frozenset({Verdict.SUCCEEDED, Verdict.GONE})
_LONGEST_LINE: Final = 1 << 20
_FIRST: Final = 1_000
_WRAPPED_IN: Final = ("log", "message", "line")
"""Under which keys collectors of logs keep the line itself."""
_AUDITED: Final = {"serviceinstances": kinds.SERVICE_INSTANCE, "servicebindings": kinds.SERVICE_BINDING}


@dataclass
class Record:
    """All that was read."""

    things: dict[ThingKey, Thing] = field(default_factory=dict)
    documents: list[JsonObject] = field(default_factory=list)
    """Instances and bindings whose service broker is to be found by their class."""
    audited: dict[tuple[str, Place], str] = field(default_factory=dict)
    """Created and not deleted since, by the audit log: plural and place, and the uid if it is told."""
    lines: int = 0

    def put(self, thing: Thing) -> None:
        """Note what is known, over what was known before."""
        before = self.things.get(thing.key)
        if before is not None:
            thing = replace(
                thing,
                place=thing.place if thing.place[1] else before.place,
                uid=thing.uid or before.uid,
                service_id=thing.service_id or before.service_id,
                plan_id=thing.plan_id or before.plan_id,
                document=thing.document or before.document,
            )
        self.things[thing.key] = thing


def read_records(paths: Iterable[Path]) -> Record:
    """Everything in the files. Raises ConfigurationFault for one that cannot be read."""
    record = Record()
    for path in paths:
        try:
            if _is_lines(path):
                for line in _lines(path):
                    _take_line(record, line)
            else:
                record.documents += [each for each in read_dumps([path]) if _is_ours(each)]
        except OSError as error:
            raise ConfigurationFault(f"{path} cannot be read: {error.strerror}") from error
    return record


def _is_lines(path: Path) -> bool:
    """Whether its lines are documents of their own, and not parts of one, as in what kubectl prints."""
    return any(_is_known(_unwrapped(line)) or NAMES["at"] in line for line in islice(_lines(path), _FIRST))


def _is_known(line: JsonObject) -> bool:
    return NAMES["action"] in line or "objectRef" in line or ("externalID" in line and "broker" in line)


def _unwrapped(line: JsonObject) -> JsonObject:
    if _is_known(line):
        return line
    for key in _WRAPPED_IN:
        if isinstance(inner := line.get(key), str) and (unwrapped := _read(inner)):
            return unwrapped
    return line


def _lines(path: Path) -> Iterator[JsonObject]:
    with path.open(encoding="utf-8", errors="replace") as file:
        while line := file.readline(_LONGEST_LINE):
            found = _read(line)
            if found is not None:
                yield found


def _read(text: str) -> JsonObject | None:
    start = text.find("{")
    if start < 0:
        return None
    try:
        found = read_json(text[start:].encode())
    except NotJson:
        # Of a file of logs other lines may be anything.
        return None
    return found if isinstance(found, dict) else None


def _is_ours(document: JsonObject) -> bool:
    return document.get("kind") in (kinds.SERVICE_INSTANCE.kind, kinds.SERVICE_BINDING.kind)


def _take_line(record: Record, line: JsonObject) -> None:
    line = _unwrapped(line)
    if line.get(NAMES["action"]) == "call_broker":
        _take_call(record, line)
    elif line.get("kind") == "Event" and "objectRef" in line:
        _take_audit(record, line)
    elif "externalID" in line and "broker" in line:
        _take_listed(record, line)


def _take_call(record: Record, line: JsonObject) -> None:
    def told(key: str) -> str:
        value = line.get(NAMES[key])
        return value if isinstance(value, str) else ""

    broker, instance_id = told("broker"), told("instance_id")
    if not broker or not instance_id:
        return
    record.lines += 1
    key = ThingKey(lane_of(broker), instance_id, told("binding_id"))
    before, verb, verdict = record.things.get(key), told("operation"), told("verdict")
    is_gone, is_going = (before.is_gone, before.is_going) if before else (False, False)
    if verb in _ADDS and verdict not in _NOTHING_DONE:
        is_gone = is_going = False
    elif verb in _REMOVES and verdict not in _NOTHING_DONE:
        is_gone, is_going = verdict in _OVER, True
    elif verb in _POLLS and is_going:
        is_gone = verdict in _OVER
    elif before is None:
        return
    thing = Thing(
        key=key,
        place=(told("namespace"), told("name")),
        uid=told("uid"),
        service_id=told("service_id"),
        plan_id=told("plan_id"),
        is_gone=is_gone,
        is_going=is_going,
    )
    record.put(thing)


def _take_audit(record: Record, line: JsonObject) -> None:
    reference, status = line.get("objectRef"), line.get("responseStatus")
    if not isinstance(reference, dict) or reference.get("subresource"):
        return
    code = status.get("code") if isinstance(status, dict) else None
    plural = str(reference.get("resource"))
    if plural not in _AUDITED or not isinstance(code, int) or code >= 300:  # noqa: PLR2004 - it was done
        return
    record.lines += 1
    sent = line.get("requestObject")
    name = str(reference.get("name") or (_named(sent) if isinstance(sent, dict) else ""))
    at = (plural, (str(reference.get("namespace") or ""), name))
    if line.get("verb") == "create" and name:
        record.audited[at] = str(reference.get("uid") or "")
    elif line.get("verb") == "delete":
        record.audited.pop(at, None)


def _named(sent: Mapping[str, Any]) -> str:
    metadata = sent.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def _take_listed(record: Record, line: JsonObject) -> None:
    def told(key: str) -> str:
        value = line.get(key)
        return value if isinstance(value, str) else ""

    is_binding = told("kind") == kinds.SERVICE_BINDING.kind
    instance_id = told("instanceExternalID") if is_binding else told("externalID")
    if not instance_id or not told("broker"):
        return
    record.lines += 1
    record.put(
        Thing(
            key=ThingKey(lane_of(told("broker")), instance_id, told("externalID") if is_binding else ""),
            place=(told("namespace"), told("name")),
            uid=told("uid"),
            service_id=told("serviceID"),
            plan_id=told("planID"),
        )
    )


def lane_of(broker: str) -> str:
    """The lane of `namespace/name` or `name`."""
    namespace, _, name = broker.rpartition("/")
    return f"{BROKER}{namespace}/{name}"
