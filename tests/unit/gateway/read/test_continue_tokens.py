"""Continue tokens: read by every gateway that has the key, and by nobody who makes one up."""

import pytest

from chandlery.model.faults import BadRequest, Expired
from chandlery.store.objects.changes import Snapshot
from chandlery.store.sealing.sealing import Keyring, new_key
from chandlery_gateway.read.continue_tokens import PURPOSE, ContinueToken, ContinueTokens

OLD, NEW = new_key("old"), new_key("new")
TOKEN = ContinueToken("/secrets/team", "team", "db", Snapshot(131_072, 196_608, (2,)))


def tokens(*keys: str) -> ContinueTokens:
    return ContinueTokens(Keyring.parse(",".join(keys)).derived(PURPOSE))


@pytest.mark.parametrize("token", [TOKEN, ContinueToken("/secrets/", "", "cluster-wide", None)])
def test_token_is_read_by_another_gateway_with_the_same_key(token: ContinueToken) -> None:
    assert tokens(OLD).read(tokens(OLD).write(token), of=token.of) == token


def test_token_lives_through_a_rotation_of_the_keys() -> None:
    written = tokens(OLD).write(TOKEN)
    assert tokens(NEW, OLD).read(written, of=TOKEN.of) == TOKEN
    with pytest.raises(Expired, match="list again"):
        tokens(NEW).read(written, of=TOKEN.of)


@pytest.mark.parametrize("text", ["x", "%%%", "é", ".", "e30=.AAAA", "[" * 5_000, "W" * 60_000])
def test_what_is_no_token_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest, match="list again"):
        tokens(OLD).read(text, of="")


def test_changed_token_is_not_believed() -> None:
    written, _, signature = tokens(OLD).write(TOKEN).partition(".")
    later, _, _ = tokens(OLD).write(ContinueToken("/secrets/team", "team", "db", Snapshot(2**62, 2**62))).partition(".")
    for changed in (f"{later}.{signature}", written, f"{written}.", f"{written}.{signature[:8]}"):
        with pytest.raises(Expired):
            tokens(OLD).read(changed, of=TOKEN.of)


@pytest.mark.parametrize("other", ["/secrets/", "/secrets/other", "/events/team"])
def test_token_of_another_list_is_a_bad_request(other: str) -> None:
    with pytest.raises(BadRequest, match="another list"):
        tokens(OLD).read(tokens(OLD).write(TOKEN), of=other)
