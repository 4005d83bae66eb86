"""The ledger of the output folder: which version of a file ended as what."""
