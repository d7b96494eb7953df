"""Proxies of Effective Competitive Strength (ECS) for real networks."""

from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.ecs.proxies import DEFAULT_PROXIES, available, measure, register
from mmpid.ecs.results import ProxyInfo, ProxyResult, ProxyTable

__all__ = [
    "DEFAULT_PROXIES",
    "ProxyEvidence",
    "ProxyInfo",
    "ProxyResult",
    "ProxySettings",
    "ProxyTable",
    "available",
    "measure",
    "register",
]
