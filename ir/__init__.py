"""The circuit and its meaning: blocks, linear maps, input families, semirings, the evaluator and queries over it."""
