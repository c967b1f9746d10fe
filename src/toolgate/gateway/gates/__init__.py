"""Steps that may only judge: one a file, each returning a verdict, none knowing of another."""
