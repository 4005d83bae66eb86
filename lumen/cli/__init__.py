"""The command `lumen`: thin modules that parse, call one library function, show the outcome, and exit."""
