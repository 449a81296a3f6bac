"""Checksums of parameters tell nothing without the key, and stay comparable when the key is another one."""

from chandlery.model.faults import ParametersFault
from chandlery.model.instances import InstancePropertiesState
from chandlery.reconcile.keyed_checksums import KEYED, ChecksumKeys
from chandlery.reconcile.parameters import NO_PARAMETERS, checksum, merge_parameters

OLD, NEW = b"o" * 32, b"n" * 32
PARAMETERS = merge_parameters(None, [("a Secret", b'{"pin": 4711}')])
OTHER = merge_parameters(None, [("a Secret", b'{"pin": 4712}')])
BARE = checksum({"pin": 4711})


def test_a_checksum_cannot_be_made_without_the_key() -> None:
    mine, others = ChecksumKeys([OLD]).keyed(PARAMETERS), ChecksumKeys([NEW]).keyed(PARAMETERS)
    assert KEYED.fullmatch(mine.checksum)
    assert BARE not in mine.checksum
    assert mine.checksum.partition(":")[2] != others.checksum.partition(":")[2]
    assert mine.checksum == ChecksumKeys([OLD]).keyed(PARAMETERS).checksum
    assert mine.checksum != ChecksumKeys([OLD]).keyed(OTHER).checksum
    assert (mine.sent, mine.shown) == (PARAMETERS.sent, PARAMETERS.shown)


def test_no_parameters_have_no_checksum() -> None:
    assert ChecksumKeys([OLD]).keyed(NO_PARAMETERS).checksum == ""
    assert ChecksumKeys([OLD]).renewed("", NO_PARAMETERS) == ""


def test_a_checksum_of_an_earlier_release_is_taken_for_what_it_is_and_replaced() -> None:
    keys = ChecksumKeys([OLD])
    assert keys.renewed(BARE, keys.keyed(PARAMETERS)) == keys.keyed(PARAMETERS).checksum
    # Also where the parameters are others by now, or cannot be had.
    for now in (keys.keyed(OTHER), ParametersFault("the Secret is gone")):
        assert keys.renewed(BARE, now) == keys.keyed(PARAMETERS).checksum


def test_a_checksum_under_the_key_before_is_still_that_of_the_same_parameters() -> None:
    before, after = ChecksumKeys([OLD]), ChecksumKeys([NEW, OLD])
    stored = before.keyed(PARAMETERS).checksum
    assert after.renewed(stored, after.keyed(PARAMETERS)) == after.keyed(PARAMETERS).checksum
    assert after.renewed(stored, after.keyed(OTHER)) == stored != after.keyed(OTHER).checksum
    assert stored in after.forms_of(BARE)
    assert stored not in ChecksumKeys([NEW]).forms_of(BARE)


def test_what_a_status_tells_of_a_request_is_renewed_with_it() -> None:
    keys = ChecksumKeys([OLD])
    state = InstancePropertiesState(parameter_checksum=BARE)
    renewed = keys.renewed_in(state, keys.keyed(PARAMETERS))
    assert renewed is not None
    assert renewed.parameter_checksum == keys.keyed(PARAMETERS).checksum
    empty = InstancePropertiesState()
    assert keys.renewed_in(empty, PARAMETERS) is empty
    assert keys.renewed_in(None, PARAMETERS) is None
