"""Condition reasons: stable words that people script against, the reference's unless a comment says otherwise."""

from enum import StrEnum


class BrokerReason(StrEnum):
    """Why a service broker is in the state it is in."""

    FETCHED_CATALOG = "FetchedCatalog"
    ERROR_FETCHING_CATALOG = "ErrorFetchingCatalog"
    ERROR_SYNCING_CATALOG = "ErrorSyncingCatalog"
    ERROR_GETTING_AUTH_CREDENTIALS = "ErrorGettingAuthCredentials"
    DELETED_CLUSTER_BROKER = "DeletedClusterServiceBrokerSuccessfully"
    DELETED = "DeletedSuccessfully"
    # Ours: the reference removes the broker and leaves its instances stuck for ever.
    DELETION_BLOCKED = "DeletionBlockedByExistingInstances"
    # Ours: events that the reference has no word for.
    FORCE_DELETED = "ForceDeleted"
    CATALOG_CHANGED = "CatalogChanged"
    QUESTIONABLE_CATALOG = "QuestionableCatalog"
    CIRCUIT_OPENED = "CircuitOpened"
    CIRCUIT_CLOSED = "CircuitClosed"


class OfferingReason(StrEnum):
    """Events about classes and plans; the reference is silent about them."""

    REMOVED = "RemovedFromBrokerCatalog"
    RETURNED = "ReturnedToBrokerCatalog"


class InstanceReason(StrEnum):
    """Why a service instance is in the state it is in."""

    PROVISIONED = "ProvisionedSuccessfully"
    UPDATED = "InstanceUpdatedSuccessfully"
    PROVISION_IN_FLIGHT = "ProvisionRequestInFlight"
    UPDATE_IN_FLIGHT = "UpdateInstanceRequestInFlight"
    DEPROVISION_IN_FLIGHT = "DeprovisionRequestInFlight"
    PROVISIONING = "Provisioning"
    UPDATING = "UpdatingInstance"
    DEPROVISIONING = "Deprovisioning"
    PROVISION_FAILED = "ProvisionCallFailed"
    ERROR_CALLING_PROVISION = "ErrorCallingProvision"
    UPDATE_FAILED = "UpdateInstanceCallFailed"
    ERROR_CALLING_UPDATE = "ErrorCallingUpdateInstance"
    DEPROVISION_FAILED = "DeprovisionCallFailed"
    ERROR_POLLING = "ErrorPollingLastOperation"
    STARTING_ORPHAN_MITIGATION = "StartingInstanceOrphanMitigation"
    ORPHAN_MITIGATED = "OrphanMitigationSuccessful"
    DEPROVISIONED = "DeprovisionedSuccessfully"
    BLOCKED_BY_BINDINGS = "DeprovisionBlockedByExistingCredentials"
    ERROR_WITH_PARAMETERS = "ErrorWithParameters"
    NO_SUCH_CLASS = "ReferencesNonexistentServiceClass"
    NO_SUCH_PLAN = "ReferencesNonexistentServicePlan"
    NO_SUCH_BROKER = "ReferencesNonexistentBroker"
    DELETED_CLASS = "ReferencesDeletedServiceClass"
    DELETED_PLAN = "ReferencesDeletedServicePlan"
    ERROR_WITH_CREDENTIALS = "ErrorGettingAuthCredentials"
    REFUSED = "ClusterServiceBrokerReturnedFailure"
    RETRY_TIMEOUT = "ErrorReconciliationRetryTimeout"
    # Ours, for what the reference has no way to say: requested actions by annotation.
    ORPHAN_MITIGATION_REQUIRED = "OrphanMitigationRequired"
    ORPHAN_MITIGATION_WAIVED = "OrphanMitigationWaived"
    ABANDONED = "Abandoned"
    FORCE_DELETED = "ForceDeleted"
    # Ours: the reference has an external id used by any number of objects.
    EXTERNAL_ID_IN_USE = "ExternalIDInUse"
    # Ours: the reference never asks a broker what it has.
    FETCH_FAILED = "FetchingInstanceFailed"
    PLAN_DIFFERS = "PlanDiffersAtBroker"
    # Ours, an event: the reference shows whatever it is given.
    DASHBOARD_REFUSED = "DashboardURLRefused"
    # Ours: the reference takes an instance out of Ready while another state of it is wanted.
    SERVES_AS_BEFORE = "ServesAsBefore"
    # Ours: the reference calls a broker that fails, or that is to be called rarely, like any other.
    BROKER_CIRCUIT_OPEN = "BrokerCircuitOpen"
    BROKER_RATE_LIMITED = "BrokerRateLimited"


class BindingReason(StrEnum):
    """Why a service binding is in the state it is in."""

    INJECTED = "InjectedBindResult"
    BIND_IN_FLIGHT = "BindingRequestInFlight"
    UNBIND_IN_FLIGHT = "UnbindingRequestInFlight"
    BINDING = "Binding"
    UNBINDING = "Unbinding"
    BIND_FAILED = "BindCallFailed"
    UNBIND_FAILED = "UnbindCallFailed"
    REFUSED = "ServiceBindingReturnedFailure"
    ERROR_INJECTING = "ErrorInjectingBindResult"
    ERROR_EJECTING = "ErrorEjectingServiceBinding"
    FETCH_FAILED = "FetchingBindingFailed"
    ERROR_POLLING = "ErrorPollingLastOperation"
    NO_SUCH_INSTANCE = "ReferencesNonexistentInstance"
    INSTANCE_UNRESOLVED = "ErrorInstanceRefsUnresolved"
    INSTANCE_NOT_READY = "ErrorInstanceNotReady"
    NOT_BINDABLE = "ErrorNonbindableServiceClass"
    NO_SUCH_CLASS = "ReferencesNonexistentServiceClass"
    NO_SUCH_PLAN = "ReferencesNonexistentServicePlan"
    NO_SUCH_BROKER = "ReferencesNonexistentBroker"
    ASYNC_OPERATION_IN_PROGRESS = "ErrorAsyncOperationInProgress"
    ERROR_WITH_PARAMETERS = "ErrorWithParameters"
    ERROR_WITH_CREDENTIALS = "ErrorGettingAuthCredentials"
    STARTING_ORPHAN_MITIGATION = "ServiceBindingNeedsOrphanMitigation"
    ORPHAN_MITIGATED = "OrphanMitigationSuccessful"
    ORPHAN_MITIGATION_FAILED = "OrphanMitigationFailed"
    UNBOUND = "UnboundSuccessfully"
    ASYNC_TIMEOUT = "AsyncOperationTimeout"
    RETRY_TIMEOUT = "ErrorReconciliationRetryTimeout"
    # Ours from here on: what the reference cannot do.
    ORPHAN_MITIGATION_REQUIRED = "OrphanMitigationRequired"
    ORPHAN_MITIGATION_WAIVED = "OrphanMitigationWaived"
    ABANDONED = "Abandoned"
    FORCE_DELETED = "ForceDeleted"
    RESTORED_SECRET = "RestoredSecret"  # noqa: S105 - a reason
    SECRET_LOST = "SecretLost"  # noqa: S105
    IGNORED_BIND_RESULT = "IgnoredBindResult"
    ROTATED = "RotatedCredentials"
    ROTATING = "RotatingCredentials"
    ROTATION_PENDING = "RotationPending"
    ROTATION_FAILED = "RotationFailed"
    RETIRED = "RetiredCredentials"
    RETIREMENT_FAILED = "RetirementFailed"
    EXPIRED = "CredentialsExpired"
    EXTERNAL_ID_IN_USE = "ExternalIDInUse"
    BROKER_CIRCUIT_OPEN = "BrokerCircuitOpen"
    BROKER_RATE_LIMITED = "BrokerRateLimited"


class StoredDataReason(StrEnum):
    """Events about what stands in the database and does not open; ours."""

    NOTE_LOST = "InFlightNoteLost"
