"""A snapshot: an account as amoCRM told of it at one time, in one file, for rehearsals on the sandbox.

``taking`` reads it, ``masking`` takes people out of it, ``snapshot_file`` writes it down and reads it back,
``sandbox/snapshot_start`` makes a sandbox's account of it.
"""
