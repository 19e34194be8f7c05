"""Many files, on one machine or a cluster: a plan, a ledger of what is done, workers, and one long file in pieces."""
