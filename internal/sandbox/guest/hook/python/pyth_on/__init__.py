"""What a program in a Pyth-On sandbox can use besides the standard library."""
