"""One module per command: parse, call one library function, show the outcome, exit."""
