"""How good a picture is: against a reference, and without one."""
