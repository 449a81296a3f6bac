"""The catalog on the wire, and how to tell that it is the one that is known already."""

import hashlib

from chandlery.osb.transport.http_call import BYTES_FOR_ONE_VALUE, CATALOG_LIMIT, HttpCall, target
from chandlery.reconcile.answers import CatalogMark, Verb
from chandlery.reconcile.operation.version_matrix import IF_MODIFIED_SINCE, IF_NONE_MATCH, NEWEST, knows_header


def catalog_digest(body: bytes) -> str:
    """Hex SHA-256 of a catalog as it came."""
    return hashlib.sha256(body).hexdigest()


def catalog_call(known: CatalogMark | None, api_version: str = NEWEST, *, limit: int = CATALOG_LIMIT) -> HttpCall:
    """OSB v2.17, "Catalog Management". The only call that allows gzip. `limit` is in bytes, after decompression.

    With a validator, the broker may answer 304; the date counts only where there is no ETag (RFC 9110, 13.1.3).
    """
    validators = _validators(known or CatalogMark(), api_version)
    return HttpCall(
        verb=Verb.GET_CATALOG,
        method="GET",
        target=target("catalog"),
        headers=(("Accept-Encoding", "gzip"), *validators),
        answer_limit=limit,
        answer_values=limit // BYTES_FOR_ONE_VALUE,
        conditional=bool(validators),
        known_digest=known.digest if known else None,
    )


def _validators(known: CatalogMark, api_version: str) -> tuple[tuple[str, str], ...]:
    if known.etag and knows_header(IF_NONE_MATCH, api_version):
        return ((IF_NONE_MATCH, known.etag),)
    if known.last_modified and knows_header(IF_MODIFIED_SINCE, api_version):
        return ((IF_MODIFIED_SINCE, known.last_modified),)
    return ()
