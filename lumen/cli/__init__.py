"""The command `lumen`: thin modules that parse, call one library function, render, and exit."""
