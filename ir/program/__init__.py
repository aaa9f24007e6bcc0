"""The Program: a query on a circuit as a line of array operations with loops; its meaning, text and checks."""
