"""What a compiled bundle needs to run, without the compiler: executables, training and checkpoints."""
