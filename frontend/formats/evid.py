"""Evidence in the `.evid` format: which variables of a network are fixed, and to what.

The number of pairs, then `VARIABLE VALUE` pairs, both counted from 0; some files begin with the number of samples,
which must be 1. A network with names may be given names in either place.
"""

from __future__ import annotations

from ...ir.diagnostic import nearest
from ...ir.domain import Cat
from ...ir.span import Source
from .network import Network
from .words import Words


def parse_evidence(source: Source, network: Network) -> dict[int, int]:
    """The values of variables, by the network's numbers of both.

    Raises: DanausError with the place of the word that is wrong.
    """
    words = Words(source)
    total = len(words.words)
    if total == 0:
        return {}
    # With the number of samples in front, the words are even in number: 1, n and n pairs.
    if total % 2 == 0:
        samples = words.integer("the number of samples", 0, None)
        if samples > 1:
            raise words.wrong(f"the file holds {samples} samples", hint="a circuit is restricted to one")
    pairs = words.count("the number of pairs", None)
    if 2 * pairs != total - words.at:
        hint = "the file is the number of pairs, then VARIABLE VALUE for each"
        raise words.wrong(f"{pairs} pairs take {2 * pairs} words, but {total - words.at} follow", hint=hint)
    places = {name: place for place, name in enumerate(network.names)}
    found: dict[int, int] = {}
    for _ in range(pairs):
        variable = _variable(words, places, network)
        value = _value(words, variable, network)
        if found.setdefault(variable, value) != value:
            raise words.wrong(f'"{network.names[variable]}" is given two values', 2)
    return found


def _variable(words: Words, places: dict[str, int], network: Network) -> int:
    word = words.take("a variable")
    if word in places:
        return places[word]
    if not word.isdecimal():
        raise words.wrong(f'there is no variable "{word[:40]}"', hint=nearest(word, places))
    if len(word) > 9 or int(word) >= len(network.names):
        raise words.wrong(f"there is no variable {word[:40]}", hint=f"they go from 0 to {len(network.names) - 1}")
    return int(word)


def _value(words: Words, variable: int, network: Network) -> int:
    domain = network.domains[variable]
    word = words.take("a value")
    if isinstance(domain, Cat) and word in domain.names:
        return domain.names.index(word)
    if not word.isdecimal() or len(word) > 9 or int(word) >= domain.size:
        message = f'"{network.names[variable]}" is {domain} and has no value "{word[:40]}"'
        raise words.wrong(message, hint=f"its values go from 0 to {domain.size - 1}")
    return int(word)
