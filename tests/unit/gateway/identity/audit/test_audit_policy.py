"""Which rule of a policy counts for a request, what a policy file may say, and what is recorded whatever it says."""

from pathlib import Path

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.audit.policy.audit_policy import DEFAULT_POLICY, AuditPolicy, Level
from chandlery_gateway.identity.audit.policy.policy_reading import read_policy
from chandlery_gateway.identity.audit.request_attributes import RequestAttributes, attributes_of_path

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
ANN = UserInfo(username="ann", groups=("developers", "system:authenticated"))
NONE, METADATA, REQUEST = Level.NONE, Level.METADATA, Level.REQUEST


def read(tmp_path: Path, text: str) -> AuditPolicy:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return read_policy(path)


def rules(tmp_path: Path, *given: str) -> AuditPolicy:
    """A policy with these rules, each on one line."""
    return read(tmp_path, HEAD + "rules:\n" + "".join(f"- {{{rule}}}\n" for rule in given))


def asked(method: str, path: str) -> RequestAttributes:
    return attributes_of_path(method, path)


GROUP = "group: servicecatalog.k8s.io"
BROKERS = "/apis/servicecatalog.k8s.io/v1beta1/clusterservicebrokers"
INSTANCES = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/team/serviceinstances"


@pytest.mark.parametrize(
    ("rule", "method", "path", "matches"),
    [
        ("users: [ann]", "GET", INSTANCES, True),
        ("users: [bob]", "GET", INSTANCES, False),
        ("userGroups: [dba, developers]", "GET", INSTANCES, True),
        ("userGroups: [dba]", "GET", INSTANCES, False),
        ("verbs: [list]", "GET", INSTANCES, True),
        ("verbs: [list]", "GET", f"{INSTANCES}/db", False),
        ("verbs: [deletecollection]", "DELETE", INSTANCES, True),
        ("namespaces: [team]", "GET", INSTANCES, True),
        ("namespaces: [team]", "GET", BROKERS, False),
        ('namespaces: [""]', "GET", BROKERS, True),
        ("namespaces: [team]", "GET", "/version", False),
        (f"resources: [{{{GROUP}}}]", "GET", BROKERS, True),
        ('resources: [{group: ""}]', "GET", BROKERS, False),
        (f"resources: [{{{GROUP}, resources: [serviceinstances]}}]", "GET", INSTANCES, True),
        (f"resources: [{{{GROUP}, resources: [serviceinstances]}}]", "GET", f"{INSTANCES}/db/status", False),
        (f"resources: [{{{GROUP}, resources: ['*/status']}}]", "GET", f"{INSTANCES}/db/status", True),
        (f"resources: [{{{GROUP}, resources: ['*/status']}}]", "GET", f"{INSTANCES}/db", False),
        (f"resources: [{{{GROUP}, resources: [serviceinstances/*]}}]", "GET", f"{INSTANCES}/db/status", True),
        (f"resources: [{{{GROUP}, resources: ['*']}}]", "GET", f"{INSTANCES}/db/status", True),
        (f"resources: [{{{GROUP}, resources: ['*'], resourceNames: [db]}}]", "GET", f"{INSTANCES}/db", True),
        (f"resources: [{{{GROUP}, resources: ['*'], resourceNames: [db]}}]", "GET", INSTANCES, False),
        ("nonResourceURLs: [/version]", "GET", "/version", True),
        ("nonResourceURLs: ['/openapi/*']", "GET", "/openapi/v3/apis", True),
        ("nonResourceURLs: ['*']", "GET", "/version", True),
        ("nonResourceURLs: ['*']", "GET", BROKERS, False),
    ],
)
def test_a_rule_matches_as_in_kubernetes(tmp_path: Path, rule: str, method: str, path: str, matches: bool) -> None:
    policy = rules(tmp_path, f"level: Request, {rule}")
    assert policy.recording(ANN, asked(method, path)).level == (REQUEST if matches else NONE)


def test_the_first_rule_that_matches_counts_and_what_none_matches_is_not_recorded(tmp_path: Path) -> None:
    policy = rules(tmp_path, "level: None, users: [ann]", "level: Request, verbs: [get, list]")
    assert policy.recording(ANN, asked("GET", INSTANCES)).level == NONE
    assert policy.recording(UserInfo(username="bob"), asked("GET", INSTANCES)).level == REQUEST
    assert policy.recording(UserInfo(username="bob"), asked("POST", INSTANCES)).level == NONE


def test_whom_nobody_knows_is_anonymous_in_a_rule(tmp_path: Path) -> None:
    policy = rules(tmp_path, "level: Request, userGroups: ['system:unauthenticated']")
    assert policy.recording(None, asked("GET", INSTANCES)).level == REQUEST
    assert policy.recording(ANN, asked("GET", INSTANCES)).level == NONE


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/namespaces/team/secrets/key"),
        ("GET", "/api/v1/secrets"),
        ("PATCH", "/api/v1/namespaces/team/secrets/key"),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
        ("DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/team/roles/x"),
        ("POST", "/api/v1/namespaces/team/serviceaccounts/x/token"),
    ],
)
def test_secrets_and_what_others_may_do_are_recorded_whatever_the_policy_says(
    tmp_path: Path, method: str, path: str
) -> None:
    policy = rules(tmp_path, "level: None, omitStages: [ResponseComplete, ResponseStarted, RequestReceived]")
    recording = policy.recording(ANN, asked(method, path))
    assert recording.level == METADATA
    assert recording.omits == {"RequestReceived"}
    assert policy.recording(ANN, asked("GET", INSTANCES)).level == NONE
    assert policy.recording(ANN, asked("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles")).level == NONE


@pytest.mark.parametrize(
    ("method", "path", "level"),
    [
        ("GET", "/livez", NONE),
        ("GET", "/apis", NONE),
        ("GET", "/apis/servicecatalog.k8s.io/v1beta1", NONE),
        ("GET", "/openapi/v3/apis/servicecatalog.k8s.io/v1beta1", NONE),
        ("GET", "/version", NONE),
        ("GET", INSTANCES, METADATA),
        ("POST", INSTANCES, METADATA),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", METADATA),
        ("GET", "/apis/audit.chandlery.io/v1/auditevents", METADATA),
        ("POST", "/version", METADATA),
        ("GET", "/wp-admin", METADATA),
    ],
)
def test_by_default_all_but_discovery_is_recorded_without_what_was_sent(method: str, path: str, level: Level) -> None:
    recording = DEFAULT_POLICY.recording(ANN, asked(method, path))
    assert recording.level == level
    assert not level or recording.omits == {"RequestReceived"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected a Policy of audit.k8s.io/v1"),
        ("rules: [", "is not valid YAML (line 1"),
        ("apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]", "apiVersion: must be"),
        (HEAD, "rules: at least one rule is required"),
        (HEAD + "rule: [{level: None}]", "'rule' is not a field of it; did you mean rules?"),
        (HEAD + "rules: [{level: None, user: [ann]}]", "rules[0].'user' is not a field of it; did you mean users?"),
        (HEAD + "rules: [{level: Everything}]", "rules[0].level: must be one of None, Metadata, Request"),
        (HEAD + "rules: [{}]", "rules[0].level: must be one of"),
        (HEAD + "rules: [{level: RequestResponse}]", "answers are never stored"),
        (HEAD + "rules: [{level: None}, {level: None, users: ann}]", "rules[1].users: must be a list"),
        (HEAD + "rules: [{level: None, users: [1]}]", "rules[0].users[0]: must be a string"),
        (HEAD + "rules: [{level: None, resources: [secrets]}]", "rules[0].resources[0]: must be an object"),
        (HEAD + "rules: [{level: None, resources: [{group: v/1}]}]", "rules[0].resources[0].group: "),
        (HEAD + "rules: [{level: None, resources: [{resourceNames: [a]}]}]", "rules[0].resources[0].resources: "),
        (HEAD + "rules: [{level: None, nonResourceURLs: [version]}]", "rules[0].nonResourceURLs[0]: must be a path"),
        (HEAD + "rules: [{level: None, nonResourceURLs: ['/a*b']}]", "rules[0].nonResourceURLs[0]: must be a path"),
        (HEAD + "rules: [{level: None, namespaces: [a], nonResourceURLs: [/a]}]", "not both; make two"),
        (HEAD + "rules: [{level: None, omitStages: [Later]}]", "rules[0].omitStages[0]: must be one of Request"),
        (HEAD + "omitStages: [Later]\nrules: [{level: None}]", "omitStages[0]: must be one of Request"),
    ],
)
def test_a_bad_policy_is_refused_with_the_file_and_the_field(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationFault) as refused:
        read(tmp_path, text)
    assert sentence in refused.value.message
    assert str(tmp_path / "policy.yaml") in refused.value.message


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match=r"CHANDLERY_AUDIT_POLICY_FILE .* cannot be read: No such file"):
        read_policy(tmp_path / "none.yaml")


def test_a_policy_of_kubernetes_documentation_is_taken_but_for_answers(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
omitStages: ["RequestReceived"]
rules:
  - level: Request
    resources: [{group: "", resources: ["pods"]}]
  - level: Metadata
    resources: [{group: "", resources: ["pods/log", "pods/status"]}]
  - level: None
    resources: [{group: "", resources: ["configmaps"], resourceNames: ["controller-leader"]}]
  - level: None
    users: ["system:kube-proxy"]
    verbs: ["watch"]
    resources: [{group: "", resources: ["endpoints", "services"]}]
  - level: None
    userGroups: ["system:authenticated"]
    nonResourceURLs: ["/api*", "/version"]
  - level: Metadata
    omitStages: ["RequestReceived"]
"""
    )
    policy = read(tmp_path, text)
    assert policy.recording(ANN, asked("GET", "/version")).level == NONE
    assert policy.recording(ANN, asked("GET", INSTANCES)).level == METADATA


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/api/v1/namespaces/team", ("get", "", "namespaces", "", "", "team")),
        ("GET", "/api/v1/namespaces/team/status", ("get", "", "namespaces", "status", "", "team")),
        ("GET", "/api/v1/namespaces", ("list", "", "namespaces", "", "", "")),
        ("GET", "/api/v1/namespaces/team/secrets/x", ("get", "", "secrets", "", "team", "x")),
        ("POST", "/apis/a.io/v1/namespaces/team/things", ("create", "a.io", "things", "", "team", "")),
        ("PUT", "/apis/a.io/v1/things/x/status", ("update", "a.io", "things", "status", "", "x")),
        ("GET", "/apis/a.io/v1", ("get", "", "", "", "", "")),
        ("GET", "//", ("get", "", "", "", "", "")),
        ("OPTIONS", "/api/v1/secrets", ("options", "", "secrets", "", "", "")),
    ],
)
def test_a_path_tells_what_a_request_wants(method: str, path: str, wanted: tuple[str, ...]) -> None:
    found = attributes_of_path(method, path)
    assert (found.verb, found.group, found.resource, found.subresource, found.namespace, found.name) == wanted
