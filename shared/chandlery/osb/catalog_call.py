"""The catalog on the wire."""

from chandlery.osb.http_call import CATALOG_LIMIT, HttpCall, target
from chandlery.reconcile.answers import Verb


def catalog_call(etag: str | None) -> HttpCall:
    """OSB v2.17, "Catalog Management". With an ETag, the broker may answer 304. The only call that allows gzip."""
    validator = (("If-None-Match", etag),) if etag else ()
    return HttpCall(
        verb=Verb.GET_CATALOG,
        method="GET",
        target=target("catalog"),
        headers=(("Accept-Encoding", "gzip"), *validator),
        answer_limit=CATALOG_LIMIT,
        conditional=bool(etag),
    )
