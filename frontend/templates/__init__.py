"""Templates: variables or data and sizes enter, the root block of a circuit of a known structure leaves."""

from .chow_liu import chow_liu
from .dfa import dfa
from .hclt import hclt
from .hmm import hmm
from .mixture import mixture
from .poon_domingos import poon_domingos
from .quad import quad_graph, quad_tree
from .rat import rat
from .region import Layer

__all__ = ["Layer", "chow_liu", "dfa", "hclt", "hmm", "mixture", "poon_domingos", "quad_graph", "quad_tree", "rat"]
