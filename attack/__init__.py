"""Everything that was found to hurt the system, sent to one that is running: ``make attack``."""
