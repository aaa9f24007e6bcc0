"""Queries through the reference evaluator, which define what compiled kernels must answer.

What enters are a circuit and rows as `validate_array` and `read_data` give them; what leaves are natural logarithms,
probabilities, values. The needs of a query (smooth, decomposable, …) are checked by whoever asks it.
"""

from .conditional import Answer, conditional
from .count import count
from .derivative import backward, derivatives
from .hamming import hamming, hamming_by_roots
from .likelihood import log_likelihood, log_likelihood_under, marginal, partition, signed_log_value, signed_partition
from .marginal_maximum import most_probable_marginal
from .maximum import MostProbable, most_probable
from .mixture import Mixture
from .moment import moment
from .sample import sample, sample_given

__all__ = [
    "Answer",
    "Mixture",
    "MostProbable",
    "backward",
    "conditional",
    "count",
    "derivatives",
    "hamming",
    "hamming_by_roots",
    "log_likelihood",
    "log_likelihood_under",
    "marginal",
    "moment",
    "most_probable",
    "most_probable_marginal",
    "partition",
    "sample",
    "sample_given",
    "signed_log_value",
    "signed_partition",
]
