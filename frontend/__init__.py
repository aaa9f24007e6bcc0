"""The ways in: the spec language, the Python DSL, structure templates, and writers of circuits as text."""
