"""The settings of who gets in. They are named after the flags of kube-apiserver that mean the same."""

from pathlib import Path

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, SecretStr


class AuthenticationSettings(BaseModel):
    """A part of `Settings`."""

    token: SecretStr | None = Field(
        default=None, description="Bearer token of one administrator; 16 characters or more. It never expires."
    )
    token_file: Path | None = Field(
        default=None,
        description='Kubernetes static token file: lines of `token,user,uid,"group1,group2"`. Read again when it '
        "changes. Its tokens never expire.",
    )
    client_ca_file: Path | None = Field(
        default=None,
        description="PEM certificates of the authorities whose client certificates are accepted: the common name is "
        "the user, organizations are groups. Needs tls_cert_file. Read again when it changes.",
    )
    authentication_config: Path | None = Field(
        default=None,
        description="YAML file with identity providers, the `jwt` list of Kubernetes' `AuthenticationConfiguration`. "
        "Read again when it changes. Not with oidc_issuer_url.",
    )
    oidc_issuer_url: str = Field(
        default="", description="`https` URL of an identity provider (OpenID Connect) whose tokens are accepted."
    )
    oidc_client_id: str = Field(default="", description="The audience that its tokens must be for.")
    oidc_username_claim: str = Field(default="sub", description="The claim that is the user's name.")
    oidc_username_prefix: str = Field(
        default="",
        description="Put before users' names; `-` for nothing. Default: the issuer's URL and a `#`, unless the claim "
        "is `email`.",
    )
    oidc_groups_claim: str = Field(default="", description="The claim that has the user's groups. Default: no groups.")
    oidc_groups_prefix: str = Field(default="", description="Put before names of groups.")
    oidc_required_claims: str = Field(
        default="", description="`claim=value`, separated by commas: what a token must say to be accepted."
    )
    oidc_signing_algs: str = Field(
        default="RS256",
        description="Algorithms that tokens may be signed with, separated by commas: RS256, RS384, RS512, ES256, "
        "ES384, ES512, PS256, PS384, PS512.",
    )
    oidc_ca_file: Path | None = Field(
        default=None,
        description="PEM certificates to verify the identity provider's certificate with, instead of the system's. "
        "Read again when it changes.",
    )
    oidc_clock_skew_seconds: NonNegativeFloat = Field(
        default=60.0, le=600, description="By how much the clocks of identity providers may differ from ours."
    )
    oidc_allow_loopback_http: bool = Field(
        default=False, description="Accept identity providers by plain http on loopback addresses. For tests only."
    )
    service_account_max_token_hours: PositiveFloat = Field(
        default=720.0,
        description="The longest that a token of a service account may be valid. Who asks for more gets this, and a "
        "warning.",
    )
    expired_token_hours: PositiveFloat = Field(
        default=24.0, description="How long `chandlery token list` still shows a token that has expired."
    )
