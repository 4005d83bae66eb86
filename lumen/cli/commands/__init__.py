"""One module a command: parse, call one library function, show what came out."""
