"""Faults under load, and whether client, ledger, database and record still say the same: ``make storm``."""
