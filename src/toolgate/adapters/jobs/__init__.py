"""Engines that bring the ids of jobs back until they are over: ``durable`` on a database, ``passing`` in memory.

Not here: whether a job may run, what it does, and how it ended. An engine sees ids, queues and sealed step results.
"""
