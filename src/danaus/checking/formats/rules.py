"""What each code of a diagnostic means, for services that show help beside a finding."""

from __future__ import annotations

from ..report import Plain

# Code: what it says, and what to do about it.
_RULES = {
    "assertion-refuted": (
        "An assertion does not hold",
        "An `assert` of the file was refuted. The witness in the message shows where: two children whose scopes "
        "differ, factors that share a variable, an assignment, or a value. Mend the circuit, or the assertion.",
    ),
    "assertion-unknown": (
        "An assertion is not proved",
        "Neither a proof nor a refutation of an `assert` was found, and only a proof satisfies it. The message says "
        "what stood in the way. Where a budget ran out, a larger one may help; else restructure the circuit.",
    ),
    "required-refuted": (
        "A circuit lacks a property that is required",
        "`--require` or `[tool.danaus]` demands the property of this circuit, and it was refuted; the witness in the "
        "message shows where.",
    ),
    "required-unknown": (
        "A property that is required is not proved",
        "`--require` or `[tool.danaus]` demands the property of this circuit, and neither a proof nor a refutation was "
        "found. The message says what stood in the way.",
    ),
    "syntax": ("The text is not a spec", "The parser stopped at this place; the message says what could stand here."),
    "unknown-name": (
        "A name is not declared",
        "Declare it, import it, or mend its spelling; the hint names what is near.",
    ),
    "duplicate-name": ("A name is declared twice", "Rename one of the two."),
    "wrong-shape": ("An array has another shape than is needed", "The message gives both shapes."),
    "wrong-value": ("A value is not one that can stand here", "The message says which values can."),
    "wrong-arguments": ("The arguments are not those that it takes", "The message says which it takes."),
    "wrong-domain": ("A variable's domain does not fit", "The message names the domain that is needed."),
    "wrong-number": ("A number is out of its range", "The message gives the range."),
    "not-a-block": ("Something else stands where a block is needed", "A block is an input, a product or a sum."),
    "unreadable-file": ("A file cannot be read", "The message says why: it is missing, damaged, or not permitted."),
    "not-utf8": ("A file is not UTF-8", "Save the file as UTF-8."),
    "import-cycle": ("Files import each other", "Move what both need to a third file."),
    "too-large": ("Something is larger than its limit", "The message gives the limit."),
    "crashed": ("The check of a file ended its process", "Check the file alone; memory may have run out."),
    "broken-law": ("An operator made what it does not say", "A mistake of Danaus, that `--verify` found: report it."),
    "unverified": ("The law of an operator could not be tested", "The message says why; nothing is known to be wrong."),
    "not-yet": ("A later version brings this", "It is part of the language, and is not available in this version."),
    "not-smooth": ("An operator or query needs a smooth circuit", "`smooth(p)` is the same function, smooth."),
    "not-decomposable": (
        "An operator or query needs a decomposable circuit",
        "Factors of a product share variables; the witness names them.",
    ),
    "not-nonnegative": (
        "A query needs a circuit without negative values",
        "The witness is an assignment at which the value is below zero, or says what is not known.",
    ),
}


def rule(code: str) -> Plain:
    """A code as a SARIF reporting descriptor."""
    said, help_text = _RULES.get(code, (f"{code.replace('-', ' ').capitalize()}", "The message says what is wrong."))
    return {
        "id": code,
        "shortDescription": {"text": said},
        "help": {"text": help_text.replace("`", ""), "markdown": help_text},
        "defaultConfiguration": {"level": "error"},
    }
