"""Who a request counts as when it asks to be somebody else."""

from dataclasses import dataclass, field

import pytest
from starlette.datastructures import Headers

from chandlery.model.faults import BadRequest, Forbidden
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import Access, Decision, Reach, Rules
from chandlery_gateway.identity.impersonation import acting_user

SOMEBODY = UserInfo(username="bob", uid="7", groups=("system:authenticated",))


@dataclass
class Impersonation:
    """Lets everybody act as everybody but for some names, and remembers what it was asked."""

    closed: tuple[str, ...] = ()
    asked: list[Access] = field(default_factory=list)
    revision: int = 0

    async def decide(self, access: Access) -> Decision:
        assert (access.user, access.verb) == (SOMEBODY, "impersonate")
        self.asked.append(access)
        return Decision(allowed=access.name not in self.closed)

    async def reach(self, access: Access) -> Reach:
        raise AssertionError(access)

    async def rules(self, user: UserInfo, namespace: str) -> Rules:
        raise AssertionError((user, namespace))


def headers(*given: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode()) for name, value in given])


async def test_without_the_headers_everybody_is_himself() -> None:
    assert await acting_user(SOMEBODY, headers(("Authorization", "Bearer x")), Impersonation()) is SOMEBODY


async def test_an_administrator_becomes_exactly_whom_he_names() -> None:
    asked = headers(
        ("Impersonate-User", "ann"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Uid", "42"),
        ("Impersonate-Extra-acme.com%2fteam", "blue"),
    )
    assert await acting_user(SOMEBODY, asked, Impersonation()) == UserInfo(
        username="ann", uid="42", groups=("dev", "ops", "system:authenticated"), extra={"acme.com/team": ("blue",)}
    )


async def test_names_are_utf_8_as_clients_send_them() -> None:
    asked = headers(("Impersonate-User", "zoë"), ("Impersonate-Group", "büro"), ("Impersonate-Extra-a", "é"))
    closed = Impersonation(closed=("büro",))
    with pytest.raises(Forbidden):
        await acting_user(SOMEBODY, asked, closed)
    assert [access.name for access in closed.asked] == ["zoë", "büro"]
    zoe = await acting_user(SOMEBODY, asked, Impersonation())
    assert (zoe.username, zoe.groups, zoe.extra) == ("zoë", ("büro", "system:authenticated"), {"a": ("é",)})
    with pytest.raises(BadRequest, match="UTF-8"):
        await acting_user(SOMEBODY, Headers(raw=[(b"impersonate-user", b"zo\xeb")]), Impersonation())


@pytest.mark.parametrize(
    ("name", "asked", "groups"),
    [
        ("ann", (), ("system:authenticated",)),
        ("ann", ("system:authenticated",), ("system:authenticated",)),
        ("ann", ("system:unauthenticated",), ("system:unauthenticated",)),
        ("system:anonymous", (), ("system:unauthenticated",)),
        ("system:anonymous", ("dev",), ("dev", "system:unauthenticated")),
        ("system:anonymous", ("system:authenticated",), ("system:authenticated", "system:unauthenticated")),
        (
            "system:serviceaccount:team:robot",
            (),
            ("system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"),
        ),
        ("system:serviceaccount:team:robot", ("dev",), ("dev", "system:authenticated")),
    ],
)
async def test_groups_follow_from_whom_one_acts_as(name: str, asked: tuple[str, ...], groups: tuple[str, ...]) -> None:
    given = [("Impersonate-User", name), *(("Impersonate-Group", group) for group in asked)]
    assert (await acting_user(SOMEBODY, headers(*given), Impersonation())).groups == groups


ASKED = (
    ("Impersonate-User", "ann"),
    ("Impersonate-Group", "dev"),
    ("Impersonate-Uid", "42"),
    ("Impersonate-Extra-acme.com%2fteam", "blue"),
)


async def test_everything_that_somebody_wants_to_be_is_asked_for() -> None:
    authorizer = Impersonation()
    await acting_user(SOMEBODY, headers(*ASKED), authorizer)
    assert [(each.group, each.resource, each.subresource, each.name) for each in authorizer.asked] == [
        ("", "users", "", "ann"),
        ("", "groups", "", "dev"),
        ("authentication.k8s.io", "uids", "", "42"),
        ("authentication.k8s.io", "userextras", "acme.com/team", "blue"),
    ]


async def test_a_service_account_is_one_of_its_namespace() -> None:
    authorizer = Impersonation()
    await acting_user(SOMEBODY, headers(("Impersonate-User", "system:serviceaccount:team:robot")), authorizer)
    [asked] = authorizer.asked
    assert (asked.resource, asked.namespace, asked.name) == ("serviceaccounts", "team", "robot")


@pytest.mark.parametrize(
    ("closed", "what"),
    [
        ("ann", 'resource "users" in API group ""'),
        ("dev", 'resource "groups" in API group ""'),
        ("42", 'resource "uids" in API group "authentication.k8s.io"'),
        ("blue", 'resource "userextras/acme.com/team" in API group "authentication.k8s.io"'),
    ],
)
async def test_one_refusal_is_enough(closed: str, what: str) -> None:
    with pytest.raises(Forbidden, match=f'User "bob" cannot impersonate {what} at the cluster scope'):
        await acting_user(SOMEBODY, headers(*ASKED), Impersonation((closed,)))


async def test_groups_need_a_name() -> None:
    with pytest.raises(BadRequest, match="kubectl --as"):
        await acting_user(SOMEBODY, headers(("Impersonate-Group", "dev")), Impersonation())
