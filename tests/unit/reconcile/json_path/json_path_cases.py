"""Templates of Kubernetes' documentation and of its own tests, with what comes of them; kubectl is asked the same."""

from typing import Any

DOCUMENT: dict[str, Any] = {
    "kind": "Config",
    "current-context": "here",
    "clusters": [
        {"name": "a", "cluster": {"server": "https://a.example:6443"}},
        {"name": "b", "cluster": {"server": "https://b.example:6443"}},
        {"name": "c", "cluster": {"server": "https://c.example:6443"}},
    ],
    "users": [
        {"name": "amy", "user": {"token": "sesame"}},
        {"name": "e2e", "user": {"username": "admin", "password": "mellon"}},
    ],
    "contexts": [{"name": "here", "context": {"cluster": "a", "user": "amy", "namespace": "team"}}],
}
"""Of the shape of a kubeconfig, which kubectl renders without a server."""

CASES = {
    "a key": ("{.kind}", "Config"),
    "a key with hyphens": ("{.current-context}", "here"),
    "a key in quotes": ("{['kind']}", "Config"),
    "from the root": ("{$.kind}", "Config"),
    "from the current object": ("{@.kind}", "Config"),
    "blanks": ("{ .kind }", "Config"),
    "text around": ("kind={.kind}; context={.current-context}", "kind=Config; context=here"),
    "closing brace in a text": ("{.kind}}", "Config}"),
    "quoted text": ('{.kind}{"\\n"}{"\\t"}{.current-context}', "Config\n\there"),
    "quoted text in single quotes": ("{.kind}{'-'}{.kind}", "Config-Config"),
    "escaped quotes": ('{"say \\"it\\""}', 'say "it"'),
    "text without a path": ("plain", "plain"),
    "an index": ("{.clusters[1].name}", "b"),
    "an index from the end": ("{.clusters[-1].name}", "c"),
    "all elements": ("{.clusters[*].name}", "a b c"),
    "a slice": ("{.clusters[0:2].name}", "a b"),
    "a slice to the end": ("{.clusters[1:].name}", "b c"),
    "a slice from the beginning": ("{.clusters[:2].name}", "a b"),
    "a slice from the end": ("{.clusters[-2:].name}", "b c"),
    "a slice with a step": ("{.clusters[0:3:2].name}", "a c"),
    "a step alone": ("{.clusters[::2].name}", "a c"),
    "a union of indexes": ("{.clusters[0,2].name}", "a c"),
    "a union of keys": ("{.users[1].user['username','password']}", "admin mellon"),
    "a union of paths": ("{.clusters[*]['name', 'cluster.server']}", None),
    "descent": ("{..server}", "https://a.example:6443 https://b.example:6443 https://c.example:6443"),
    "descent further down": ("{.users..password}", "mellon"),
    "a filter": ('{.users[?(@.name=="e2e")].user.password}', "mellon"),
    "a filter with blanks": ('{.users[?(@.name == "e2e")].user.password}', "mellon"),
    "a filter in single quotes": ("{.users[?(@.name=='e2e')].user.username}", "admin"),
    "not": ('{.clusters[?(@.name!="b")].name}', "a c"),
    "less": ('{.clusters[?(@.name<"b")].name}', "a"),
    "at most": ('{.clusters[?(@.name<="b")].name}', "a b"),
    "more": ('{.clusters[?(@.name>"b")].name}', "c"),
    "at least": ('{.clusters[?(@.name>="b")].name}', "b c"),
    "has": ("{.users[?(@.user.token)].name}", "amy"),
    "a range": ("{range .clusters[*]}{.name},{end}", "a,b,c,"),
    "a range with more in it": (
        '{range .clusters[*]}[{.name}, {.cluster.server}]{"\\n"}{end}done',
        "[a, https://a.example:6443]\n[b, https://b.example:6443]\n[c, https://c.example:6443]\ndone",
    ),
    "a range over a filter": ('{range .clusters[?(@.name!="b")]}{.name};{end}', "a;c;"),
    "an object": ("{.users[0].user}", None),
}
"""Template and text by name; None where the text is kubectl's own, such as the order of keys."""
