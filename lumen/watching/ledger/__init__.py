"""The ledger of the output folder: how each version of a file ended."""
