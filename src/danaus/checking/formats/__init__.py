"""Reports in the forms that a person, a program or a CI service reads, one module each."""
