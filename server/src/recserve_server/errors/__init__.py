"""What a server refuses and why, and the one table from there to gRPC.

    ServingError
    |-- InvalidRequest    the request can never succeed
    |-- MalformedMessage  the bytes are not the message they should be
    |-- UnknownModel      no such model here
    |-- VersionRetired    the version that must answer does not serve
    |-- LabelUnknown      no version has the label
    |-- UnknownItems      the model knows none of the items
    |-- NotPersonal       the caller wants a personal ranking or none
    |-- NotInModel        the model cannot do what is asked
    |-- EventsDisabled    the server keeps no events
    |-- StoreUnavailable  events cannot be kept now
    |-- Unauthenticated   nothing shows who calls
    |-- PermissionDenied  the caller may not do this
    |-- Overloaded        more is waiting than should
    |   |-- QueueFull     as much as may
    |   `-- WaitTooLong   longer than anybody is to wait
    |-- NotReady          starting, or going down
    |-- DeadlineTooShort  the deadline would pass before the model is asked
    |-- ExpiredInQueue    the deadline passed before the model was asked
    `-- ModelFailed       the model did not answer as it must

A status carries exactly one google.rpc.ErrorInfo (AIP-193).
"""

from recserve_server.errors.access import PermissionDenied, Unauthenticated
from recserve_server.errors.base import RetryLater, ServingError, Unexpected
from recserve_server.errors.overload import (
    DeadlineTooShort,
    ExpiredInQueue,
    Overloaded,
    QueueFull,
    WaitTooLong,
)
from recserve_server.errors.requests import (
    FieldViolation,
    InvalidRequest,
    MalformedMessage,
    NotInModel,
    NotPersonal,
    UnknownItems,
)
from recserve_server.errors.serving import (
    EventsDisabled,
    LabelUnknown,
    ModelFailed,
    NotReady,
    StoreUnavailable,
    UnknownModel,
    VersionRetired,
)
from recserve_server.errors.status import to_status

__all__ = [
    "DeadlineTooShort",
    "EventsDisabled",
    "ExpiredInQueue",
    "FieldViolation",
    "InvalidRequest",
    "LabelUnknown",
    "MalformedMessage",
    "ModelFailed",
    "NotInModel",
    "NotPersonal",
    "NotReady",
    "Overloaded",
    "PermissionDenied",
    "QueueFull",
    "RetryLater",
    "ServingError",
    "StoreUnavailable",
    "Unauthenticated",
    "Unexpected",
    "UnknownItems",
    "UnknownModel",
    "VersionRetired",
    "WaitTooLong",
    "to_status",
]
