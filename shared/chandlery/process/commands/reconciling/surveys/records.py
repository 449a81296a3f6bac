"""Reads what an operator hands over of the time that was lost: who had which ids at which service broker.

Comes in: files in any of these forms and in any order; what is newest is told by the times in their lines:
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
from chandlery.process.commands.reconciling.surveys.call_history import CallHistory, LoggedCall, Moment
from chandlery.process.commands.reconciling.surveys.external_things import Thing, ThingKey
from chandlery.process.logs.ecs_fields import NAMES
from chandlery.reconcile.reconcile_result import broker_key

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
    reading = _Reading()
    for path in paths:
        try:
            if _is_lines(path):
                for line in _lines(path):
                    reading.take(line)
            else:
                reading.record.documents += [each for each in read_dumps([path]) if _is_ours(each)]
        except OSError as error:
            raise ConfigurationFault(f"{path} cannot be read: {error.strerror}") from error
    return reading.ended()


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


class _Reading:
    """Of the lines of all files."""

    def __init__(self) -> None:
        self.record = Record()
        self._calls = CallHistory()
        self._listed: list[Thing] = []
        self._audited: dict[tuple[str, Place], tuple[Moment, str, str]] = {}
        """The last event: when, its verb, and the uid if it is told."""

    def take(self, line: JsonObject) -> None:
        """Note what a line says, if it is one of ours."""
        line = _unwrapped(line)
        if line.get(NAMES["action"]) == "call_broker":
            self._take_call(line)
        elif line.get("kind") == "Event" and "objectRef" in line:
            self._take_audit(line)
        elif "externalID" in line and "broker" in line and (thing := _listed(line)) is not None:
            self.record.lines += 1
            self._listed.append(thing)

    def ended(self) -> Record:
        """All that was noted. What an operator has listed counts more than what logs tell."""
        for thing in (*self._calls.things(), *self._listed):
            self.record.put(thing)
        for at, (_, verb, uid) in self._audited.items():
            if verb == "create":
                self.record.audited[at] = uid
        return self.record

    def _take_call(self, line: JsonObject) -> None:
        def told(key: str) -> str:
            value = line.get(NAMES[key])
            return value if isinstance(value, str) else ""

        broker, instance_id = told("broker"), told("instance_id")
        if not broker or not instance_id:
            return
        self.record.lines += 1
        call = LoggedCall(
            at=(told("at"), self.record.lines),
            verb=told("operation"),
            verdict=told("verdict"),
            namespace=told("namespace"),
            name=told("name"),
            uid=told("uid"),
            service_id=told("service_id"),
            plan_id=told("plan_id"),
        )
        self._calls.take(ThingKey(lane_of(broker), instance_id, told("binding_id")), call)

    def _take_audit(self, line: JsonObject) -> None:
        reference, status, verb = line.get("objectRef"), line.get("responseStatus"), line.get("verb")
        if not isinstance(reference, dict) or reference.get("subresource"):
            return
        code = status.get("code") if isinstance(status, dict) else None
        plural = str(reference.get("resource"))
        if plural not in _AUDITED or not isinstance(code, int) or code >= 300:  # noqa: PLR2004 - it was done
            return
        self.record.lines += 1
        sent = line.get("requestObject")
        name = str(reference.get("name") or (_named(sent) if isinstance(sent, dict) else ""))
        if not name or verb not in ("create", "delete"):
            return
        at = (plural, (str(reference.get("namespace") or ""), name))
        moment = (str(line.get("requestReceivedTimestamp") or ""), self.record.lines)
        if at not in self._audited or moment > self._audited[at][0]:
            self._audited[at] = (moment, str(verb), str(reference.get("uid") or ""))


def _named(sent: Mapping[str, Any]) -> str:
    metadata = sent.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def _listed(line: JsonObject) -> Thing | None:
    def told(key: str) -> str:
        value = line.get(key)
        return value if isinstance(value, str) else ""

    is_binding = told("kind") == kinds.SERVICE_BINDING.kind
    instance_id = told("instanceExternalID") if is_binding else told("externalID")
    if not instance_id or not told("broker"):
        return None
    return Thing(
        key=ThingKey(lane_of(told("broker")), instance_id, told("externalID") if is_binding else ""),
        place=(told("namespace"), told("name")),
        uid=told("uid"),
        service_id=told("serviceID"),
        plan_id=told("planID"),
    )


def lane_of(broker: str) -> str:
    """The lane of `namespace/name` or `name`."""
    namespace, _, name = broker.rpartition("/")
    return broker_key(namespace, name)
