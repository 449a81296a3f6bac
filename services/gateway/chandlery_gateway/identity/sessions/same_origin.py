"""Whether a request with a cookie was made by a page of ours, or by one of somebody else in the same browser. Pure.

A browser sends cookies along whoever made the request, and shows a client certificate in the same way.
`SameSite=Strict` keeps most of that away from cookies; what remains (a host beside ours, an old browser) is told apart
here by headers that no page can write, and by a token that only a page of ours can read. What is ours is what the
operator says: never the header `Host`, which a name that somebody else points at us would bring.

Source: OWASP, Cross-Site Request Forgery Prevention; W3C, Fetch Metadata Request Headers.
"""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS: Final = "same-origin"
_TYPED: Final = "none"
"""What a browser says of an address that somebody has typed."""


def changes_something(method: str) -> bool:
    """Whether a request of this method needs a token that shows who made it."""
    return method not in _READING


def is_foreign_change(method: str, headers: Headers) -> bool:
    """Whether a browser says that a page of another origin made a request that changes something.

    For what a browser shows of its own accord and other programs as well, which say nothing of origins: a certificate.
    """
    if not changes_something(method):
        return False
    sites = headers.getlist("sec-fetch-site")
    # A browser that says no more than `Origin` is an old one, and with `Host` nobody could tell whether it is ours.
    return any(site != _OURS for site in sites) if sites else "origin" in headers


def why_foreign(method: str, headers: Headers, origins: Collection[str]) -> str:
    """Why the request is not one of our pages; empty if it is. `origins` are ours, as `https://host[:port]`."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if len(headers.getlist("sec-fetch-site")) > 1 or len(headers.getlist("origin")) > 1:
        return "it has Origin or Sec-Fetch-Site more than once"
    if site is not None and site != _OURS and not (site == _TYPED and not changes_something(method)):
        return "it was made by a page of another origin"
    if origin is not None and origin not in origins:
        return "its Origin is not one of this gateway's pages"
    if site is None and origin is None and changes_something(method):
        return "it has neither Origin nor Sec-Fetch-Site"
    return ""
