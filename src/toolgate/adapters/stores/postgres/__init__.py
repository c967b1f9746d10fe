"""The Postgres store: one ledger for any number of gateways and workers, on asyncpg.

Nothing is imported here: whoever opens such a store imports ``store``, and with it the driver.
"""
