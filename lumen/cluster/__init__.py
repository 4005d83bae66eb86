"""A Ray cluster: getting into it, what its nodes must have, and blocks of jobs for its workers.

Ray is imported inside functions only, and never unless `--engine ray` asks for it.
"""
