"""The queries of a compiled circuit beyond its likelihood: walks over its Program, and what follows from them."""
