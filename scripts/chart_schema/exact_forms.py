"""What kube-apiserver checks of values, and Kubernetes' OpenAPI document does not tell: names, quantities, ranges.

The rules are those of `pkg/apis/core/validation` and `apimachinery/pkg/util/validation` of Kubernetes. Forms that the
chart's own part of the schema uses as well are written there, under `definitions`, and only referred to here.
"""

from typing import Any, Final

Schema = dict[str, Any]


def _form(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _one_of(*words: str) -> Schema:
    return {"enum": list(words)}


def _between(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


_PROTOCOL: Final = _one_of("TCP", "UDP", "SCTP")
_SECONDS: Final = {"type": "integer", "minimum": 0}

_EXISTS: Final = {
    "required": ["operator"],
    "properties": {"operator": {"const": "Exists"}, "value": {"const": ""}},
}
_EQUAL: Final = {
    "required": ["key"],
    "properties": {"operator": {"not": {"const": "Exists"}}, "key": {"minLength": 1}},
}
_EVICTS: Final = {
    "if": {"required": ["tolerationSeconds"]},
    "then": {"required": ["effect"], "properties": {"effect": {"const": "NoExecute"}}},
}

EXACT: Final[dict[str, Schema]] = {
    "Quantity": _form("quantity"),
    "IntOrString": {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^[0-9]+%$|^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$"},
        ]
    },
    "*.matchLabels": _form("labelMap"),
    "*.topologyKey": _form("labelKey"),
    "*.readOnly": {"type": "boolean"},
    "ConfigMapEnvSource.name": _form("objectName"),
    "ConfigMapKeySelector.key": _form("dataKey"),
    "ConfigMapKeySelector.name": _form("objectName"),
    "ConfigMapProjection.name": _form("objectName"),
    "ConfigMapVolumeSource.name": _form("objectName"),
    "Container.image": _form("imageReference"),
    "Container.imagePullPolicy": _one_of("Always", "IfNotPresent", "Never"),
    "Container.name": _form("labelName"),
    "Container.restartPolicy": _one_of("Always"),
    "ContainerPort.containerPort": _form("port"),
    "ContainerPort.hostPort": _between(0, 65535),
    "ContainerPort.name": _form("portName"),
    "ContainerPort.protocol": _PROTOCOL,
    "DeploymentStrategy.type": _one_of("RollingUpdate", "Recreate"),
    "EnvVar.name": _form("variableName"),
    "EnvFromSource.prefix": {"type": "string", "pattern": "^[-._a-zA-Z0-9]*$", "not": {"pattern": "^CHANDLERY"}},
    "HPAScalingPolicy.periodSeconds": _between(1, 1800),
    "HPAScalingPolicy.type": _one_of("Pods", "Percent"),
    "HPAScalingPolicy.value": {"type": "integer", "minimum": 1},
    "HPAScalingRules.selectPolicy": _one_of("Max", "Min", "Disabled"),
    "HPAScalingRules.stabilizationWindowSeconds": _between(0, 3600),
    "HTTPGetAction.path": {"type": "string", "pattern": "^/"},
    "HTTPGetAction.scheme": _one_of("HTTP", "HTTPS"),
    "HostAlias.hostnames": {"type": "array", "minItems": 1, "items": _form("hostName")},
    "HostAlias.ip": _form("address"),
    "IPBlock.cidr": _form("network"),
    "IPBlock.except": {"type": "array", "items": _form("network")},
    "KeyToPath.key": _form("dataKey"),
    "KeyToPath.mode": _between(0, 0o777),
    "LabelSelectorRequirement.key": _form("labelKey"),
    "LabelSelectorRequirement.operator": _one_of("In", "NotIn", "Exists", "DoesNotExist"),
    "LabelSelectorRequirement.values": {"type": "array", "items": _form("labelValue")},
    "LocalObjectReference.name": _form("objectName"),
    "MetricSpec.type": _one_of("Resource", "ContainerResource", "Pods", "Object", "External"),
    "MetricTarget.type": _one_of("Utilization", "Value", "AverageValue"),
    "NetworkPolicyPort.endPort": _form("port"),
    "NetworkPolicyPort.port": {"anyOf": [_form("port"), _form("portName")]},
    "NetworkPolicyPort.protocol": _PROTOCOL,
    "NodeSelectorRequirement.operator": _one_of("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"),
    "PersistentVolumeClaimVolumeSource.claimName": _form("objectName"),
    "PodDNSConfig.nameservers": {"type": "array", "maxItems": 3, "items": _form("address")},
    "PodDNSConfig.searches": {
        "type": "array",
        "maxItems": 32,
        "items": {"type": "string", "pattern": "^[-_a-z0-9.]+$"},
    },
    "PreferredSchedulingTerm.weight": _between(1, 100),
    "ResourceRequirements.limits": _form("quantities"),
    "ResourceRequirements.requests": _form("quantities"),
    "SecretEnvSource.name": _form("objectName"),
    "SecretKeySelector.key": _form("dataKey"),
    "SecretKeySelector.name": _form("objectName"),
    "SecretProjection.name": _form("objectName"),
    "SecretVolumeSource.secretName": _form("objectName"),
    "SleepAction.seconds": _SECONDS,
    "Toleration.effect": _one_of("", "NoSchedule", "PreferNoSchedule", "NoExecute"),
    "Toleration.key": {"anyOf": [_form("labelKey"), {"const": ""}]},
    "Toleration.operator": _one_of("Exists", "Equal", "Lt", "Gt"),
    "Toleration.value": _form("labelValue"),
    "TopologySpreadConstraint.maxSkew": {"type": "integer", "minimum": 1},
    "TopologySpreadConstraint.minDomains": {"type": "integer", "minimum": 1},
    "TopologySpreadConstraint.nodeAffinityPolicy": _one_of("Honor", "Ignore"),
    "TopologySpreadConstraint.nodeTaintsPolicy": _one_of("Honor", "Ignore"),
    "TopologySpreadConstraint.whenUnsatisfiable": _one_of("DoNotSchedule", "ScheduleAnyway"),
    "Volume.name": _form("ownVolumeName"),
    "VolumeMount.mountPath": {"type": "string", "pattern": "^/[^:\\x00-\\x1f]*$"},
    "VolumeMount.name": _form("labelName"),
    "WeightedPodAffinityTerm.weight": _between(1, 100),
}
"""By type, by field of a type, or by field of every type (`*`): what stands there instead of the document's words."""

MORE: Final[dict[str, Schema]] = {
    "Container": {"required": ["image", "name"]},
    "EnvFromSource": {"oneOf": [{"required": ["configMapRef"]}, {"required": ["secretRef"]}]},
    "EnvVar": {"not": {"required": ["value", "valueFrom"]}},
    "EnvVarSource": {"minProperties": 1, "maxProperties": 1},
    "HostAlias": {"required": ["hostnames", "ip"]},
    "LifecycleHandler": {"minProperties": 1, "maxProperties": 1},
    "LocalObjectReference": {"required": ["name"]},
    "NetworkPolicyPeer": {
        "minProperties": 1,
        "not": {"required": ["ipBlock"], "minProperties": 2},
    },
    "SecretVolumeSource": {"required": ["secretName"]},
    "Toleration": {"oneOf": [_EXISTS, _EQUAL], **_EVICTS},
    "Volume": {"minProperties": 2, "maxProperties": 2},
}
"""By type: what holds of its fields together."""
