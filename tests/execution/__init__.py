"""How a cleared call runs: deadlines, loops, threads and processes, retries, limits, and what is said at the end."""
