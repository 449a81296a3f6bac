"""A service broker as a model: it knows what it really has, whatever it answers, and holds the platform to the rules.

It plays by OSB's rules as far as they bind it: a rejection changes nothing, 200 or 410 to a deletion means that nothing
is left. What an unclear answer did is drawn at random. It stands where the HTTP client is in production.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.operations.binding_calls import BindRequest, GetBindingRequest, PollBindingRequest, UnbindRequest
from chandlery.osb.operations.instance_calls import (
    DeprovisionRequest,
    GetInstanceRequest,
    PollInstanceRequest,
    ProvisionRequest,
    UpdateRequest,
)
from chandlery.osb.operations.originating_identity import OriginatingIdentity
from chandlery.osb.operations.requests import OsbRequest
from chandlery.reconcile.answers import Answer, CatalogMark, Verb, Verdict
from chandlery.reconcile.operation.mitigation import needs_mitigation
from chandlery.reconcile.secrecy.known_secrets import NO_SECRETS, KnownSecrets
from tests.integration.properties.broker_words import (
    CATALOG_WORDS,
    MUTE,
    TIMEOUT,
    UNREACHABLE,
    WORDS,
    Word,
    answer_to,
    is_unclear,
)

T = TypeVar("T")
Choose = Callable[[Sequence[Any], str], Any]
Creation = ProvisionRequest | BindRequest
Poll = PollInstanceRequest | PollBindingRequest
Deletion = DeprovisionRequest | UnbindRequest

SERVICE = "service-ropes"
_ANSWERED, _DIES_BEFORE, _DIES_AFTER = "it is heard", "the worker dies before", "the worker dies before it is heard"
_IS_STOPPED = "the worker is stopped before it is heard"
FATES = [*[_ANSWERED] * 12, _DIES_AFTER, _DIES_AFTER, _DIES_BEFORE, _IS_STOPPED]


class Misstep(AssertionError):
    """The platform did what it must never do."""


class WorkerDied(BaseException):
    """Nothing of what the worker has learned is recorded, not even that it failed."""


@dataclass
class Held:
    """What the broker has, or may have been asked to have, under one id."""

    of: str
    """uid of the object that it is for."""
    exists: bool = False
    plans: frozenset[str] = frozenset()
    """The plans that an instance may be on."""
    work: str = ""
    """What the broker works on: create, update, delete."""
    key: str = ""
    """Names its latest operation."""
    target: str = ""
    """The plan that an update works towards."""
    outcome: str = "succeeded"
    """How its latest operation ended."""
    in_doubt: bool = False
    """A creation has failed so that something may be left, and that it is gone was not confirmed."""
    unheard: Creation | None = None
    """A creation whose answer nobody has heard."""
    credentials: str = ""

    def vanish(self) -> None:
        self.exists, self.in_doubt, self.unheard = False, False, None
        self.plans = frozenset()


@dataclass
class Witness:
    """What the model asks of the world around it."""

    choose: Choose
    meanwhile: Callable[[], Awaitable[bool]]
    """Things happen while a call is made; returns whether another worker has taken over the object."""
    at_work: Callable[[], str]
    """uid of the object whose worker calls."""
    may: Callable[[str, str], bool]
    """Whether a person has allowed something for an object: `waive`, `let go`."""


class ModelBroker:
    """One broker with one service. `plans` is what its catalog offers now."""

    def __init__(self, witness: Witness, *, is_rich: bool) -> None:
        """`is_rich`: instances and bindings can be fetched, and bindings be rotated."""
        self.plans = ["small", "large"]
        self.is_rich = is_rich
        self.is_kind = False
        self.is_silent = False
        """No call is expected any more."""
        self.is_away = False
        self.instances: dict[str, Held] = {}
        self.bindings: dict[tuple[str, str], Held] = {}
        self.log: list[str] = []
        self._witness = witness
        self._counter = 0

    async def get_catalog(self, endpoint: BrokerEndpoint, *, known: CatalogMark | None) -> Answer:
        """See OsbClient."""
        word = 200 if self.is_kind else self._witness.choose(CATALOG_WORDS, "catalog")
        if self.is_away or word == UNREACHABLE:
            return Answer(verb=Verb.GET_CATALOG, verdict=Verdict.UNREACHABLE, description="connection refused")
        self.log.append(f"catalog: {word}")
        if word == TIMEOUT:
            return Answer(verb=Verb.GET_CATALOG, verdict=Verdict.TIMED_OUT, description="no answer in time")
        if word == 200:
            return Answer(verb=Verb.GET_CATALOG, verdict=Verdict.SUCCEEDED, status=200, body=self._catalog())
        if word == "malformed 200":
            return Answer(verb=Verb.GET_CATALOG, verdict=Verdict.MALFORMED, status=200, description="<html>")
        verdict = Verdict.BROKEN if word == 500 else Verdict.REJECTED
        return Answer(verb=Verb.GET_CATALOG, verdict=verdict, status=int(word))

    async def send(
        self,
        endpoint: BrokerEndpoint,
        request: OsbRequest,
        *,
        identity: OriginatingIdentity | None,
        secrets: KnownSecrets = NO_SECRETS,
    ) -> Answer:
        """See OsbClient. What this broker says never quotes anything."""
        held = self._held(request)
        if self.is_silent:
            raise Misstep(f"{request.verb} although the broker was to be left alone")
        self._check(held, request)
        fate = _ANSWERED if self.is_kind else self._witness.choose(FATES, "fate")
        if fate == _DIES_BEFORE:
            self._note_unheard(held, request)
            raise WorkerDied
        word, plans = self._word(held, request), held.plans
        self.log.append(f"{_title(request)}: {word}{'' if fate == _ANSWERED else f', but {fate}'}")
        answer = answer_to(request, word, self._act(held, request, word))
        if fate in (_DIES_AFTER, _IS_STOPPED):
            self._note_unheard(held, request, plans)
            raise WorkerDied if fate == _DIES_AFTER else asyncio.CancelledError
        if not self.is_kind:
            # Long enough for a slow call to be announced.
            for _ in range(8):
                await asyncio.sleep(0)
            before = held.unheard, held.plans
            self._note_unheard(held, request, plans)
            if await self._witness.meanwhile():
                return answer
            held.unheard, held.plans = before
        self._note_heard(held, request, answer)
        return answer

    async def close(self) -> None:
        """See OsbClient."""

    def left(self) -> dict[str, Held]:
        """What exists, by a name for people."""
        instances = {f"instance {key}": held for key, held in self.instances.items() if held.exists}
        bindings = {f"binding {key[1]} of {key[0]}": held for key, held in self.bindings.items() if held.exists}
        return {**instances, **bindings}

    def bindings_of(self, instance_id: str) -> list[Held]:
        return [held for (of, _), held in self.bindings.items() if of == instance_id and held.exists]

    def _held(self, request: OsbRequest) -> Held:
        fresh = Held(of=self._witness.at_work())
        if isinstance(request, BindRequest | UnbindRequest | PollBindingRequest | GetBindingRequest):
            return self.bindings.setdefault((request.instance_id, request.binding_id), fresh)
        return self.instances.setdefault(request.instance_id, fresh)

    # What the platform may do

    def _check(self, held: Held, request: OsbRequest) -> None:
        match request:
            case ProvisionRequest() | BindRequest():
                self._check_creation(held, request)
            case UpdateRequest():
                _insist(held.exists, "an update of what the broker does not have")
            case PollInstanceRequest() | PollBindingRequest():
                _insist(bool(held.key), "a poll although nothing was ever begun")
                _insist(request.operation == held.key, f"a poll of {request.operation}, not of {held.key}")
            case DeprovisionRequest():
                self._check_deprovision(held, request)

    def _check_creation(self, held: Held, request: Creation) -> None:
        if self._witness.may("waive", held.of):
            return
        _insist(not held.in_doubt, "a second creation before the first was confirmed as deleted")
        if held.unheard is not None:
            _insist(request == held.unheard, "a creation of unknown fate was followed by another one")
        if isinstance(request, BindRequest):
            instance = self.instances.get(request.instance_id)
            _insist(instance is not None and instance.exists, "a bind to what the broker does not have")

    def _check_deprovision(self, held: Held, request: DeprovisionRequest) -> None:
        if len(held.plans) == 1 and held.work != "update" and held.exists:
            _insist(request.plan_id in held.plans, f"a deletion with plan {request.plan_id}, not {held.plans}")
        left = [each for each in self.bindings_of(request.instance_id) if not self._witness.may("let go", each.of)]
        if left and not self._witness.may("let go", held.of):
            raise Misstep("an instance is deleted while the broker has bindings of it")

    # What it answers, and what it does

    def _word(self, held: Held, request: OsbRequest) -> Word:
        if self.is_away:
            return UNREACHABLE
        if self.is_kind:
            return self._kind_word(held, request)
        word: Word = self._witness.choose(WORDS[request.verb], f"answer to {request.verb}")
        return self._fitting(held, request, word)

    def _kind_word(self, held: Held, request: OsbRequest) -> Word:
        match request:
            case ProvisionRequest() | BindRequest():
                return 200 if held.exists else 201
            case DeprovisionRequest() | UnbindRequest():
                return 200 if held.exists else 410
            case PollInstanceRequest() | PollBindingRequest():
                if not held.work:
                    return held.outcome if held.exists or held.outcome == "failed" else 410
                return "succeeded"
        return 200 if held.exists else 404

    def _fitting(self, held: Held, request: OsbRequest, word: Word) -> Word:
        """The word, or the nearest to it that a broker can say in this situation."""
        if word == 202 and isinstance(request, BindRequest | UnbindRequest) and not request.accepts_incomplete:
            return 200
        if word == MUTE and isinstance(request, BindRequest) and not held.exists:
            return 201
        if isinstance(request, GetBindingRequest | GetInstanceRequest) and word in (200, MUTE) and not held.exists:
            return 404
        if isinstance(request, PollInstanceRequest | PollBindingRequest) and not held.work:
            return self._kind_word(held, request) if word in ("in progress", "succeeded", "failed", 410) else word
        return word

    def _act(self, held: Held, request: OsbRequest, word: Word) -> dict[str, Any]:
        """Change what there is, and return what a good answer says."""
        match request:
            case ProvisionRequest() | BindRequest():
                return self._create(held, request, word)
            case UpdateRequest():
                return self._update(held, request, word)
            case DeprovisionRequest() | UnbindRequest():
                return self._delete(held, request, word)
            case PollInstanceRequest() | PollBindingRequest():
                return self._poll(held, request, word)
            case GetBindingRequest():
                return {"credentials": {"key": held.credentials}}
            case _:
                return {"service_id": SERVICE, **({"plan_id": next(iter(held.plans))} if len(held.plans) == 1 else {})}

    def _create(self, held: Held, request: Creation, word: Word) -> dict[str, Any]:
        if word in (200, 201, 202, MUTE) or (is_unclear(word) and (held.exists or self._perhaps())):
            is_sure = not is_unclear(word)
            held.plans = frozenset({request.plan_id}) | (frozenset() if is_sure else held.plans)
            if not held.exists:
                held.credentials = self._new("credentials")
            held.exists = True
            held.work = "" if is_sure else held.work
        if word == 202:
            self._begin(held, "create")
            return {"operation": held.key}
        return {"credentials": {"key": held.credentials}} if isinstance(request, BindRequest) else {}

    def _update(self, held: Held, request: UpdateRequest, word: Word) -> dict[str, Any]:
        plan = request.plan_id or ""
        if word == 200:
            held.plans, held.work = (frozenset({plan}) if plan else held.plans), ""
        elif word == 202:
            self._begin(held, "update")
            held.target = plan
            # A platform that stops polling never learns how it ends.
            held.plans = held.plans | {plan} - {""}
            return {"operation": held.key}
        elif is_unclear(word):
            held.plans = held.plans | {plan} - {""}
        return {}

    def _delete(self, held: Held, request: Deletion, word: Word) -> dict[str, Any]:
        if word == 202:
            self._begin(held, "delete")
            return {"operation": held.key}
        if word in (200, 410) or (is_unclear(word) and self._perhaps()):
            doubts = held.in_doubt, held.unheard
            self._vanish(held, request)
            if word not in (200, 410):
                # It is gone, but nobody has said so.
                held.in_doubt, held.unheard = doubts
            held.work = ""
        return {}

    def _poll(self, held: Held, request: Poll, word: Word) -> dict[str, Any]:
        if not held.work:
            return {}
        if word == "succeeded" or (word == 410 and held.work == "delete"):
            if held.work == "delete":
                self._vanish(held, request)
            held.work, held.outcome = "", "succeeded"
        elif word == "failed":
            if held.work != "update" and self._perhaps():
                doubts = held.in_doubt, held.unheard
                self._vanish(held, request)
                held.in_doubt, held.unheard = doubts
            held.in_doubt = held.in_doubt or held.work == "create"
            held.work, held.outcome = "", "failed"
        return {}

    def _vanish(self, held: Held, request: OsbRequest) -> None:
        held.vanish()
        if isinstance(request, DeprovisionRequest | PollInstanceRequest):
            for (of, _), binding in self.bindings.items():
                if of == request.instance_id:
                    binding.vanish()

    def _begin(self, held: Held, work: str) -> None:
        held.work, held.key = work, self._new(work)

    def _new(self, what: str) -> str:
        self._counter += 1
        return f"{what}-{self._counter}"

    def _perhaps(self) -> bool:
        return bool(not self.is_kind and self._witness.choose([True, False], "done all the same"))

    # What the platform has learned

    def _note_unheard(self, held: Held, request: OsbRequest, plans: frozenset[str] = frozenset()) -> None:
        """`plans` is what an instance was on before: nobody can tell whether it still is."""
        if isinstance(request, ProvisionRequest | BindRequest):
            held.unheard = request
        if isinstance(request, UpdateRequest):
            held.plans = held.plans | plans

    def _note_heard(self, held: Held, request: OsbRequest, answer: Answer) -> None:
        if isinstance(request, ProvisionRequest | BindRequest) and answer.verdict != Verdict.UNREACHABLE:
            held.unheard = None
            held.in_doubt = needs_mitigation(answer)
        if isinstance(request, PollInstanceRequest) and answer.verdict == Verdict.SUCCEEDED and held.target:
            held.plans, held.target = frozenset({held.target}), ""

    def _catalog(self) -> dict[str, Any]:
        plans = [
            {"id": f"plan-{name}", "name": name, "description": name, "binding_rotatable": self.is_rich}
            for name in self.plans
        ]
        service = {
            "id": SERVICE,
            "name": "ropes",
            "description": "ropes",
            "bindable": True,
            "plan_updateable": True,
            "instances_retrievable": self.is_rich,
            "bindings_retrievable": self.is_rich,
            "plans": plans,
        }
        return {"services": [service]}


def _insist(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Misstep(otherwise)


def _title(request: OsbRequest) -> str:
    name = getattr(request, "binding_id", "") or request.instance_id
    return f"{request.verb} {name[:8]}"
