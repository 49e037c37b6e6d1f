"""What the same question costs here and with the usual tools: CPU seconds and memory of whole processes."""
