"""The HTTP service: recordings come in, jobs wait on disk, one model works, results stay a while.

::

    client ──uploads──▶ file, checked ──store──▶ job ──worker──▶ result ──routes──▶ RTTM, JSON …
             access       durations              SQLite   pipeline         └─streams──▶ progress
"""
