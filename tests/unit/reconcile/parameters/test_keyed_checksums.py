"""Checksums of parameters tell nothing without the key, and stay comparable when the key is another one."""

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.objects.brokers import LocalObjectReference
from chandlery.model.objects.instances import InstancePropertiesState, ServiceInstance, ServiceInstanceSpec
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.reconcile.parameters.keyed_checksums import KEYED, ChecksumKeys, ObjectChecksums
from chandlery.reconcile.parameters.parameters import NO_PARAMETERS, checksum, merge_parameters

OLD, NEW = b"o" * 32, b"n" * 32
PARAMETERS = merge_parameters(None, [("a Secret", b'{"pin": 4711}')])
OTHER = merge_parameters(None, [("a Secret", b'{"pin": 4712}')])
BARE = checksum({"pin": 4711})
ONE = ServiceInstance(metadata=ObjectMeta(name="one", namespace="ns", uid="uid-1"), spec=ServiceInstanceSpec())
TWO = ServiceInstance(metadata=ObjectMeta(name="two", namespace="ns", uid="uid-2"), spec=ServiceInstanceSpec())
BINDING = ServiceBinding(
    metadata=ObjectMeta(name="one", namespace="ns", uid="uid-1"),
    spec=ServiceBindingSpec(instance_ref=LocalObjectReference(name="one")),
)


def under(*keys: bytes, unbound: tuple[bytes, ...] = ()) -> ObjectChecksums:
    """The checksums of one instance, as a process with these keys has them."""
    return ChecksumKeys(keys, unbound=unbound).of(ONE)


def test_a_checksum_cannot_be_made_without_the_key() -> None:
    mine, others = under(OLD).keyed(PARAMETERS), under(NEW).keyed(PARAMETERS)
    assert KEYED.fullmatch(mine.checksum)
    assert BARE not in mine.checksum
    assert mine.checksum.partition(":")[2] != others.checksum.partition(":")[2]
    assert mine.checksum == under(OLD).keyed(PARAMETERS).checksum
    assert mine.checksum != under(OLD).keyed(OTHER).checksum
    assert (mine.sent, mine.shown) == (PARAMETERS.sent, PARAMETERS.shown)


def test_equal_parameters_of_two_objects_have_different_checksums() -> None:
    keys = ChecksumKeys([OLD])
    digests = {keys.of(owner).keyed(PARAMETERS).checksum for owner in (ONE, TWO, BINDING)}
    assert len(digests) == 3
    assert len({keys.of(owner).renewed(BARE, PARAMETERS) for owner in (ONE, TWO, BINDING)} | digests) == 3
    theirs = keys.of(TWO).keyed(PARAMETERS).checksum
    assert theirs not in keys.of(ONE).forms_of(BARE)


def test_a_checksum_from_before_objects_counted_is_still_that_of_the_same_parameters() -> None:
    keys = under(NEW, unbound=(OLD,))
    stored = next(form for form in keys.forms_of(BARE) if form.startswith(ChecksumKeys([OLD]).ids[0]))
    assert stored in ChecksumKeys([NEW], unbound=[OLD]).of(TWO).forms_of(BARE), "it is the same for all"
    assert keys.renewed(stored, keys.keyed(PARAMETERS)) == keys.keyed(PARAMETERS).checksum
    assert keys.renewed(stored, keys.keyed(OTHER)) == stored != keys.keyed(OTHER).checksum
    assert ChecksumKeys([NEW], unbound=[OLD]).ids == (*ChecksumKeys([NEW]).ids, *ChecksumKeys([OLD]).ids)


def test_no_parameters_have_no_checksum() -> None:
    assert under(OLD).keyed(NO_PARAMETERS).checksum == ""
    assert under(OLD).renewed("", NO_PARAMETERS) == ""


def test_a_checksum_of_an_earlier_release_is_taken_for_what_it_is_and_replaced() -> None:
    keys = under(OLD)
    assert keys.renewed(BARE, keys.keyed(PARAMETERS)) == keys.keyed(PARAMETERS).checksum
    # Also where the parameters are others by now, or cannot be had.
    for now in (keys.keyed(OTHER), ParametersFault("the Secret is gone")):
        assert keys.renewed(BARE, now) == keys.keyed(PARAMETERS).checksum


def test_a_checksum_under_the_key_before_is_still_that_of_the_same_parameters() -> None:
    before, after = under(OLD), under(NEW, OLD)
    stored = before.keyed(PARAMETERS).checksum
    assert after.renewed(stored, after.keyed(PARAMETERS)) == after.keyed(PARAMETERS).checksum
    assert after.renewed(stored, after.keyed(OTHER)) == stored != after.keyed(OTHER).checksum
    assert stored in after.forms_of(BARE)
    assert stored not in under(NEW).forms_of(BARE)


def test_what_a_status_tells_of_a_request_is_renewed_with_it() -> None:
    keys = under(OLD)
    state = InstancePropertiesState(parameter_checksum=BARE)
    renewed = keys.renewed_in(state, keys.keyed(PARAMETERS))
    assert renewed is not None
    assert renewed.parameter_checksum == keys.keyed(PARAMETERS).checksum
    empty = InstancePropertiesState()
    assert keys.renewed_in(empty, PARAMETERS) is empty
    assert keys.renewed_in(None, PARAMETERS) is None
