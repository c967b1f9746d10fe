"""REST under ``/v1``: each endpoint translates one request into one operation of the gate, and its answer back.

READ ``endpoints`` FIRST. Nothing is decided here: who may do what follows from ``domain.principal`` and the operations.
"""
