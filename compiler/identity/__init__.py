"""Identity testing: circuits as polynomials, compared at random points of fields modulo random primes."""

from .functions import equal_functions
from .laws import LAWS, Outcome, verify_law
from .pointwise import Checked
from .products import verify_product
from .testing import WANTED, Identity

__all__ = ["LAWS", "WANTED", "Checked", "Identity", "Outcome", "equal_functions", "verify_law", "verify_product"]
