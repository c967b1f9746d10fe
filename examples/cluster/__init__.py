"""Three gateways, two workers, one Postgres and a proxy, on one machine, with load and somebody who counts."""
