"""Small runnable examples. Each folder has a README that was carried out."""
