"""What ``toolgate init`` writes: a configuration and a module with two tools, as they are copied."""
