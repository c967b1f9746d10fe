"""The only place where the two sides meet: ports get their adapters, and the pipeline its world."""

from toolgate.bootstrap.gateway import HOUSEKEEPING_INTERVAL, Gateway
from toolgate.bootstrap.office import office_world
from toolgate.bootstrap.stores import open_keys

__all__ = ["HOUSEKEEPING_INTERVAL", "Gateway", "office_world", "open_keys"]
