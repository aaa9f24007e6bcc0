"""Exact information theory: each query a formula of totals of circuits that the operators make."""

from .answer import Information, information, informed, require_integrals, settled
from .needs import KINDS, require_information

__all__ = ["KINDS", "Information", "information", "informed", "require_information", "require_integrals", "settled"]
