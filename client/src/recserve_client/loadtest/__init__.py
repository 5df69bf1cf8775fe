"""The load tester behind `recserve loadtest`; needs the extra `load`."""
