"""What runs a cleared call. Each runner is a one-method seam, ``run(call, context)``."""
