"""Python functions that compute virtual-evidence marginals, as circuits: traced, freed of division, tested."""

from .importer import import_marginaliser

__all__ = ["import_marginaliser"]
