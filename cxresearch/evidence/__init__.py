"""Evidence: a study in, a Finding out."""
