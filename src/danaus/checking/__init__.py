"""`danaus check` over many files: from paths to reports in the form that a person, a program or a CI service reads."""
