"""From circuits to the text of a spec: names, numbers, arrays, blocks, and what only an operator can make."""
