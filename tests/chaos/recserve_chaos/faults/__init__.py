"""All faults. A new one is a `Fault` in a module here, and a name in this table."""

from . import callers, certificates, clocks, disks, processes, stores, versions
from .fault import Fault

FAULTS: dict[str, Fault] = {
    each.name: each
    for module in (processes, versions, disks, stores, certificates, callers, clocks)
    for each in module.FAULTS
}
"""By name, in the order of the report."""
NEED_TLS = frozenset(each.name for each in certificates.FAULTS)
"""Those that there are only with TLS."""
NEED_REDIS = frozenset(each.name for each in stores.FAULTS)
"""Those that there are only with Redis."""
