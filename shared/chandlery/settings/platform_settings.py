"""Where Secrets, namespaces, events and rights are: our own database, or the Kubernetes cluster we are installed in."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, NonNegativeFloat


class PlatformSettings(BaseModel):
    """Part of `Settings`."""

    platform: Literal["standalone", "kubernetes"] = Field(
        default="standalone",
        description="Where Secrets, namespaces, events and access rights are: `standalone` keeps them itself; "
        "`kubernetes` uses those of the cluster, whose kube-apiserver passes requests on (API aggregation).",
    )
    kubeconfig: Path | None = Field(
        default=None,
        description="Kubeconfig file by which the cluster is reached, for processes outside of it. Default: the "
        "service account of the pod.",
    )
    kubernetes_namespace: str | None = Field(
        default=None,
        description="Namespace of the cluster that this installation is in. Default: that of the service account, or "
        "of the kubeconfig's context.",
    )
    serving_cert_secret: str | None = Field(
        default=None,
        description="Secret in that namespace where gateways keep the certificate that they make, and renew, for "
        "themselves; the `caBundle` of the APIServices follows it. Instead of tls_cert_file.",
    )
    serving_service: str = Field(
        default="chandlery-gateway",
        description="Name of the gateway's Service in that namespace: the certificate is made for its DNS names.",
    )
    access_review_seconds: NonNegativeFloat = Field(
        default=10.0,
        description="How long an answer of the cluster to a SubjectAccessReview is used again; a right that was taken "
        "away counts for so long.",
    )
    token_review_seconds: NonNegativeFloat = Field(
        default=10.0, description="How long an answer of the cluster to a TokenReview is used again."
    )
