"""What a platform owes its service brokers, number by number: Open Service Broker API 2.17, and the rules of catalogs.

The tests that show it carry the number in their name (`test_osb_013_…`), or at the start of a parameter's id
(`OSB-152 provision`). `docs/generate_conformance.py` makes the table of both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_LEVELS: Final = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY")
_NUMBERS: Final = re.compile(r"(osb|cat)((?:_\d{2,3})+)")
_IDS: Final = re.compile(r"(?:OSB-\d{3}|CAT-\d{2})")


@dataclass(frozen=True)
class Obligation:
    """One thing that is owed."""

    id: str
    level: str
    """MUST, MUST NOT, SHOULD, SHOULD NOT or MAY; with a star where the specification leaves it to the platform."""
    text: str

    @property
    def is_binding(self) -> bool:
        """Whether leaving it out would need a reason."""
        return self.level.rstrip("*") != "MAY"


LEFT_OUT: Final[Mapping[str, str]] = {
    "OSB-021": "Cloud Foundry's profile: this platform is of Kubernetes' profile, and sends the identity of that.",
    "OSB-075": "Cloud Foundry's profile: organizations and spaces do not exist here; the Kubernetes context is sent.",
    "OSB-108": "Cloud Foundry's profile: its additions to bind_resource are about apps and CredHub, unknown here.",
}
"""What is left out on purpose, and why."""

_TEXT: Final = """
OSB-001 MUST       Every request carries HTTP Basic credentials, the polls and clean-up deletions too; colons and non-ASCII letters survive.
OSB-002 MAY        A bearer token can be agreed on instead; never both; a registration with both or an empty one is refused or says why.
OSB-003 SHOULD     A broker's own CA bundle, or no verification on demand; the two exclude each other.
OSB-004 MUST*      401 and 403 are shown as a failure, retried with pauses only, and lead to no clean-up.
OSB-005 SHOULD     A call has a total time limit, 60 seconds unless the broker's registration says otherwise; trickling does not extend it.
OSB-006 MUST*      The base URL loses a trailing slash and keeps its path.
OSB-007 MUST NOT*  A redirect is not followed: it is a failure, and the other host hears nothing.
OSB-008 MUST       Unknown fields in any answer are ignored.
OSB-009 SHOULD     Requests hold no fields beyond those of the specification.
OSB-010 SHOULD     Requests with a body say that it is JSON; answers are read whatever type they claim.
OSB-011 MUST*      Answers are read to a limit; GET and DELETE have neither body nor content type.
OSB-012 MUST*      An error without code or description, or in HTML, harms nothing; a description reaches the user.
OSB-013 MUST       Every request carries the version, as two numbers with a dot.
OSB-014 MUST*      412 is a failure with the broker's words in the status, and leads to no clean-up.
OSB-015 MUST       What a user causes carries the user's identity, the polls and fetches that belong to it included.
OSB-016 MAY        What no user causes carries no identity: catalog fetches and clean-up.
OSB-017 MUST       The identity is that of the user of this very action: creator, changer and deleter may be three.
OSB-018 MUST       The identity is the platform's name and the base64 of a JSON object, on one line however long.
OSB-019 MUST       The identity's platform is that of the context.
OSB-020 MUST       On Kubernetes the identity holds username, uid, groups and extra, empty rather than null.
OSB-021 MUST       On Cloud Foundry the identity holds user_id.
OSB-022 MUST       Every request carries an id of its own.
OSB-023 SHOULD*    A broker may echo the request's id or not.
OSB-024 MUST*      A broker that is pinned to an older version is sent nothing that this version does not know.
OSB-025 SHOULD     Retry-After of a poll is waited for, in seconds or as a date; nonsense counts as absent.
OSB-026 MAY        A catalog is fetched with the validator of the last one, and 304 keeps it; without one 304 is a failure.
OSB-027 MUST       Ids of instances and bindings are unique and not empty.
OSB-028 SHOULD NOT An id is used again after a failed creation only once its clean-up is confirmed.
OSB-029 SHOULD     Whatever is not plain in an id is percent-encoded, in the path and in the query.
OSB-030 MUST       The key of an operation comes back verbatim with each poll, percent-encoded.
OSB-031 MUST*      Without a key none is sent, and never that of an earlier operation.
OSB-032 MUST       A key may have 10,000 characters; a longer one makes the answer malformed.
OSB-033 MUST*      Ids are compared and sent as they are, in their case and at any length.
OSB-034 MUST       An id is used in other requests only after the request that introduces it.
OSB-035 MUST       Registration fetches the catalog first; an empty one is fine.
OSB-036 SHOULD     The catalog is fetched again from time to time, on demand, and after a MaintenanceInfoConflict.
OSB-037 MUST       Offerings and plans are known by their ids; everything else may change.
OSB-038 MUST       Another id is another offering or plan.
OSB-039 SHOULD*    What has gone from the catalog takes no new instances, and still serves those that there are.
OSB-040 MUST*      A fetch that fails keeps the last good catalog.
OSB-041 MUST       Names are compared in their case and may hold anything.
OSB-042 MUST       A plan is bindable as it says itself, else as its offering says.
OSB-043 MUST       A plan can be changed as it says itself, else as its offering says, else not.
OSB-044 MUST       A plan is free unless it says otherwise.
OSB-045 MUST       Bindings of a plan are rotated only if it says that they can be.
OSB-046 SHOULD     Metadata is shown as it came.
OSB-047 MAY        The secret of a dashboard client is shown to nobody.
OSB-048 MUST       Schemas of draft 4 are understood, and later ones.
OSB-049 MAY        Long texts do not have a catalog refused.
OSB-050 MAY        An instance says when its plan offers another version.
OSB-051 MUST       Asynchronous work is offered in the query; 202 without the offer is a failure.
OSB-052 SHOULD*    It is offered for the creation of bindings only if their credentials can be fetched afterwards.
OSB-053 MUST       AsyncRequired is a plain failure without clean-up.
OSB-054 MUST       After 202 the operation is polled where it belongs: at the instance or at the binding.
OSB-055 SHOULD     Each poll names service and plan.
OSB-056 MUST       While a plan is changed, polls name the old one.
OSB-057 MUST       Polls go on while work is in progress, and stop at once when it has ended.
OSB-058 MUST       The description of an operation is shown; it may be missing.
OSB-059 MUST       410 ends a deletion well, and nothing else.
OSB-060 SHOULD     Any other answer to a poll, and none, is followed by the next poll.
OSB-061 MUST       The time to poll is bounded by the platform and by the plan; at its end the operation has failed.
OSB-062 MAY        Polls go on after a restart, with the same key.
OSB-063 MUST*      An operation has one poller, however often messages are delivered.
OSB-064 MUST NOT   ConcurrencyError leads to no clean-up.
OSB-065 MUST       After ConcurrencyError the same request is sent again, until it is taken.
OSB-066 MAY        Bindings of one instance are tried one after the other when a broker asks for that.
OSB-067 MUST*      A broker that gives no key for its work on bindings gets one of an instance's bindings at a time.
OSB-068 MUST*      A deletion is sent during a creation, and then the deletion's operation is polled.
OSB-069 MUST       An instance is created by PUT under its id.
OSB-070 MUST       The request names service and plan by the catalog's ids.
OSB-071 MUST       The request holds organization_guid and space_guid, not empty: the cluster's id and the namespace's.
OSB-072 SHOULD     The request holds a context beside them.
OSB-073 MUST       The context names the platform.
OSB-074 MUST       The context of a creation and of an update holds platform, namespace, clusterid and instance_name.
OSB-075 MUST       On Cloud Foundry the context holds organization and space.
OSB-076 MAY        Parameters are sent as the user wrote them, and not at all if there are none.
OSB-077 MAY        The version of a plan that has one is sent along.
OSB-078 MUST       MaintenanceInfoConflict is a refusal without clean-up, followed by a fetch of the catalog and a new try.
OSB-079 MUST       201 and 200 mean that the instance is there.
OSB-080 MUST       202 is polled, also as the answer to a request that is sent again.
OSB-081 MUST       A refusal is a failure without clean-up; a request that is sent again has the body of the first time.
OSB-082 MUST       The dashboard's address is taken from the first answer, a 202 included.
OSB-083 MAY        Labels of the broker replace its earlier ones; what Kubernetes would not take is left out.
OSB-084 MUST       After a failure for good nobody believes that the instance exists, and the description is shown.
OSB-085 SHOULD NOT An instance is fetched only where the offering allows it.
OSB-086 MAY        What a fetch tells is taken over.
OSB-087 MUST       A fetch that fails changes nothing.
OSB-088 SHOULD     Parameters that are missing in a fetch are not taken for deleted ones.
OSB-089 MUST       An instance is updated by PATCH, with its service and plans of that service only.
OSB-090 MUST NOT   A plan is not changed where that is not allowed; parameters still are.
OSB-091 MUST NOT*  What is unchanged is left out, but for the plan beside other parameters, if the broker wants it named.
OSB-092 SHOULD NOT Parameters that this change does not state are not sent.
OSB-093 SHOULD     The previous plan and version are told.
OSB-094 MUST       An update carries the context.
OSB-095 MUST*      An update of the context alone is sent only where the offering allows it.
OSB-096 MAY        A version is upgraded by naming it, with neither plan nor parameters.
OSB-097 MUST       200 is done, 202 is polled, anything else is a failure; an update is never followed by clean-up.
OSB-098 MUST       After a failed update the instance has its old plan, in later requests too.
OSB-099 MUST       The dashboard's address stays unless an update brings another.
OSB-100 SHOULD     An instance that its broker calls unusable gets no new bindings until it is repaired.
OSB-101 SHOULD NOT An update that its broker calls unrepeatable is not repeated; another one is sent.
OSB-102 MUST*      Both flags are ignored where they do not belong, and when they are no booleans.
OSB-103 MAY        Other failed updates are repeated, with growing pauses.
OSB-104 MUST NOT   What is not bindable is not bound.
OSB-105 MUST       A binding is created by PUT with the service and the instance's current plan.
OSB-106 MAY        bind_resource holds what is known, here the namespace as app_guid.
OSB-107 MUST       RequiresApp is a failure without clean-up.
OSB-108 MAY        On Cloud Foundry bind_resource holds space, annotations and CredHub's client.
OSB-109 MUST       The context of a binding holds platform, namespace and clusterid.
OSB-110 MAY        Parameters of a binding are sent as they stand, and not at all if there are none.
OSB-111 MUST       200 and 201 bring the credentials, 202 is polled; credentials in a 202 are ignored.
OSB-112 MUST       Credentials of asynchronous work are fetched as soon as it has succeeded.
OSB-113 MUST*      Credentials are kept with the first answer; lost ones mean another binding, not an empty Secret.
OSB-114 MUST*      202 from a broker whose bindings cannot be fetched is a failure, with clean-up.
OSB-115 MUST       409 is a failure without clean-up.
OSB-116 SHOULD NOT Nothing is bound to an instance that is unusable, being created or being deleted.
OSB-117 MUST NOT   Bindings of a plan that does not allow it are not rotated.
OSB-118 MUST       Rotation creates a binding with a new id that names its predecessor of the same instance.
OSB-119 MUST*      Rotation names service and plan too, and repeats no parameters.
OSB-120 MUST       The predecessor stays until its successor's credentials are published.
OSB-121 SHOULD     A binding is renewed by itself shortly before it has to be; dates are read with and without fractions.
OSB-122 SHOULD NOT Metadata of a binding is not taken for credentials.
OSB-123 MUST       Credentials of any shape are delivered unchanged.
OSB-124 MUST       A syslog drain is taken only from an offering that asks for it.
OSB-125 MUST       A route service is taken only from an offering that asks for it.
OSB-126 MUST*      A malformed volume mount makes the answer malformed.
OSB-127 MUST*      A kind of binding that the platform cannot use is not passed off as credentials.
OSB-128 MAY        Endpoints are shown; their ports may be texts, ranges or numbers.
OSB-129 SHOULD NOT* A binding is fetched only where the offering allows it.
OSB-130 MUST       A fetch that fails forgets nothing and is repeated after an asynchronous success.
OSB-131 MAY        A fetch may leave out the parameters.
OSB-132 MUST       A deletion names service and plan in the query and has no body.
OSB-133 MUST       A deletion names the plan that the instance has now.
OSB-134 MUST       All bindings are gone before their instance is deleted.
OSB-135 MUST       200 and 410 end a deletion; 202 is polled, and 410 ends that too.
OSB-136 MUST       After any other answer the object stays.
OSB-137 MUST       ConcurrencyError and AsyncRequired of a deletion are followed by another try.
OSB-138 SHOULD     A failed deletion that leaves the instance unusable bars new bindings.
OSB-139 SHOULD     A deletion that fails is sent until it succeeds, with growing pauses.
OSB-140 MUST*      Deletions need nothing of the catalog as it is now.
OSB-141 SHOULD     What an uncertain creation may have left is deleted, until the broker confirms it.
OSB-142 MAY        Users see that clean-up is going on, and may decide when.
OSB-143 SHOULD     A creation whose answer was lost by the platform is repeated or cleaned up.
OSB-144 MUST*      No new PUT is sent before the clean-up is confirmed.
OSB-145 MUST*      The clean-up of a binding deletes the binding and never the instance.
OSB-146 MUST NOT*  The clean-up carries no user's identity.
OSB-147 MUST       200 with a valid body is a success; nothing is cleaned up.
OSB-148 MUST       200 with a malformed body is a failure; nothing is cleaned up.
OSB-149 MUST       A creation or deletion of an instance that ends as failed leads to the instance's deletion.
OSB-150 MUST       A creation or deletion of a binding that ends as failed leads to the binding's deletion.
OSB-151 MUST       201 is a success; nothing is cleaned up.
OSB-152 MUST       201 with a malformed body has a new instance cleaned up.
OSB-153 MUST       201 with a malformed body has a new binding cleaned up.
OSB-154 MUST       202 is accepted work; nothing is cleaned up.
OSB-155 MUST       202 with a malformed body has a new instance cleaned up.
OSB-156 MUST       202 with a malformed body has a new binding cleaned up.
OSB-157 MUST       Any other 2xx to a creation or deletion leads to the instance's deletion.
OSB-158 MUST       Any other 2xx to a bind or unbind leads to the binding's deletion.
OSB-159 MUST       Any other 2xx to an update is a failure; nothing is cleaned up.
OSB-160 MUST       408 is a request that was not received; nothing is cleaned up.
OSB-161 MUST       Any other 4xx is a refusal; nothing is cleaned up.
OSB-162 MUST       5xx to a creation or deletion leads to the instance's deletion.
OSB-163 MUST       5xx to a bind or unbind leads to the binding's deletion.
OSB-164 MUST       5xx to an update is a failure; nothing is cleaned up.
OSB-165 MUST       An update that ends as failed is a failure; nothing is cleaned up.
OSB-166 MUST       A creation without an answer in time has the instance cleaned up.
OSB-167 MUST       A bind without an answer in time has the binding cleaned up.
OSB-168 MUST       Any other request without an answer in time is a failure; nothing is cleaned up.
OSB-169 MUST*      A connection that breaks after a creation or bind was sent counts as no answer.
OSB-170 MUST*      A broker that is not reached, and a redirect, lead to another try; nothing is cleaned up.
CAT-01 MUST        A catalog is a JSON object with the list `services`.
CAT-02 MUST        Id, name and description of an offering are texts and not empty.
CAT-03 MUST        The name of an offering is unique in its catalog.
CAT-04 MUST        An id belongs to one offering of one broker; a second that claims it is told so, and the first keeps it.
CAT-05 MUST*       An offering says whether it is bindable; nothing counts as no, with a warning.
CAT-06 MUST        An offering has at least one plan.
CAT-07 MUST        The id of a plan is unique in its catalog, whatever the offering.
CAT-08 MUST NOT    A plan does not move to another offering.
CAT-09 MUST        The name of a plan is unique in its offering; its description is not empty.
CAT-10 SHOULD      Names that are hard to type are taken, with a warning at most.
CAT-11 SHOULD      Texts longer than 255 characters are taken.
CAT-12 MUST        The words of `requires` are shown; an unknown one grants nothing.
CAT-13 MUST        Tags are texts, flags are booleans, metadata is an object.
CAT-14 MUST*       A schema that names no draft is taken and not applied, with a warning.
CAT-15 MUST        A schema refers to nothing outside itself, and nothing is fetched.
CAT-16 MUST        A schema has at most 64 KiB.
CAT-17 MUST*       A schema that is invalid by its own draft, or of an unknown one, is taken and not applied.
CAT-18 MUST*       maintenance_info has a semantic version; another is compared as a text, with a warning.
CAT-19 MUST*       maximum_polling_duration is a whole number of seconds; anything else is refused or ignored.
CAT-20 MUST        A dashboard client without id or secret is ignored, as is the whole of it.
CAT-21 MUST        Costs are passed on as they are.
CAT-22 MAY         A schema for bindings of an unbindable plan is ignored.
CAT-23 MUST        Unknown fields are ignored.
CAT-24 MUST        What comes with a new id is new, even if nothing else has changed.
CAT-25 MUST*       Repeated keys, NaN, and bytes that are no UTF-8 make a catalog malformed.
"""  # noqa: E501 - one line each


def _read(line: str) -> Obligation:
    number, rest = line.split(maxsplit=1)
    level = max((each for each in _LEVELS if rest.startswith(each)), key=len)
    star = "*" if rest.removeprefix(level).startswith("*") else ""
    return Obligation(number, level + star, rest.removeprefix(level + star).strip())


OBLIGATIONS: Final = {each.id: each for each in map(_read, _TEXT.strip().splitlines())}


def ids_of(test: str) -> frozenset[str]:
    """The obligations that a test shows, by its node id: those of its parameters, else those of its function's name."""
    function, _, parameters = test.rpartition("::")[2].partition("[")
    if named := frozenset(_IDS.findall(parameters)):
        return named
    found = _NUMBERS.findall(function)
    return frozenset(f"{book.upper()}-{number}" for book, numbers in found for number in numbers[1:].split("_"))
