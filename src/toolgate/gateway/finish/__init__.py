"""Steps after the tool ran: check its result, bound it, settle it, answer."""
