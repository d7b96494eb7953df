"""Published settings as named, versioned files, which a run can follow or be compared with."""

from mmpid.protocols.protocol import RunProtocol, available, get, read

__all__ = ["RunProtocol", "available", "get", "read"]
