"""Where calls come in. A surface translates and never decides."""
