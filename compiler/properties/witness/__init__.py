"""What refutes a property: nodes, scopes or an assignment, with their places.

Each witness says in a sentence what it shows (`str`), names the places to look at (`notes`), and gives itself as JSON.
"""

from .node import Assignment, Json, Node, Places, show_scope
from .scopes import CrossingScopes, DifferentScopes, OverlappingScopes, SharedVariables, WideFactor
from .values import CommonSupport, DifferentValues, Mass, NegativeAt, WrongSum

Witness = (
    DifferentScopes
    | SharedVariables
    | OverlappingScopes
    | Mass
    | NegativeAt
    | CommonSupport
    | WideFactor
    | CrossingScopes
    | DifferentValues
    | WrongSum
)

__all__ = [
    "Assignment",
    "CommonSupport",
    "CrossingScopes",
    "DifferentScopes",
    "DifferentValues",
    "Json",
    "Mass",
    "NegativeAt",
    "Node",
    "OverlappingScopes",
    "Places",
    "SharedVariables",
    "WideFactor",
    "Witness",
    "WrongSum",
    "show_scope",
]
